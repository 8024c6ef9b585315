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
    else for (const finding of findings) process.stdout.write(render(finding));
    return findings.some(({ status }) => status === "fail") ? 69 : 0;
  } finally {
    engine.close();
  }
}

const chalk = new Chalk({ level: isColoured(process.stdout) ? 1 : 0 });
const MARKS = { ok: chalk.green("ok  "), warn: chalk.yellow("warn"), fail: chalk.red("fail") } as const;

function render({ name, status, detail, remedy }: Finding): string {
  const advice = status === "ok" || remedy === "" ? "" : `      ${sanitiseLine(remedy)}\n`;
  return `${MARKS[status]}  ${name}: ${sanitiseLine(detail)}\n${advice}`;
}
