import { Chalk } from "chalk";
import { inspectHost } from "../engine/inspect-host.ts";
import type { Finding } from "../engine/judge-host.ts";
import { sanitiseLine } from "../output/sanitise.ts";
import { isColoured } from "./colour.ts";
import { connect } from "./connect.ts";
import type { Invocation } from "./invocation.ts";
import { optionsOf } from "./options.ts";

/** `sandbox doctor`: says of each promise whether this engine and machine can hold it. Exit status 69 when one can't be held. */
export async function doctor(invocation: Invocation): Promise<number> {
  const options = optionsOf(invocation);
  const engine = await connect(options);
  try {
    const findings = await inspectHost(engine);
    if (options.flag("json")) process.stdout.write(`${JSON.stringify({ engine: engine.info, findings })}\n`);
    else process.stdout.write(`${findings.map(render).join("")}${conclude(findings)}`);
    return findings.some(({ status }) => status === "fail") ? 69 : 0;
  } finally {
    engine.close();
  }
}

const chalk = new Chalk({ level: isColoured(process.stdout) ? 1 : 0 });
const MARKS = { note: "note", ok: chalk.green("ok  "), warn: chalk.yellow("warn"), fail: chalk.red("fail") } as const;

function render({ name, status, detail, remedy }: Finding): string {
  const advice = remedy === "" ? "" : `      ${sanitiseLine(remedy)}\n`;
  return `${MARKS[status]}  ${name}: ${sanitiseLine(detail)}\n${advice}`;
}

/** What all of it means, for someone who sees it for the first time. */
function conclude(findings: readonly Finding[]): string {
  const count = (wanted: Finding["status"]): number => findings.filter(({ status }) => status === wanted).length;
  if (count("fail") > 0) return "Not every promise can be kept here: see each `fail`, and do what stands below it.\n";
  return count("warn") === 0
    ? "Every promise can be kept here.\n"
    : "Sandboxes can run here; each `warn` names what holds less than it could.\n";
}
