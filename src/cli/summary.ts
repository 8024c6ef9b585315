import { formatDuration, formatSize } from "../core/units.ts";
import { sanitiseLine } from "../output/sanitise.ts";
import type { RunResult } from "../run/result-schema.ts";
import type { PresenterOptions } from "./presenter-options.ts";

/** The lines that people get at the end of a run: nothing when all went as asked. */
export function summarise(result: RunResult, { mode, task, verbose }: PresenterOptions): string {
  const lines: string[] = [];
  if (mode === "stream" && result.reason !== "completed") {
    lines.push(`sandbox: ${result.reason}: ${sanitiseLine(result.detail)}`);
    if (result.error !== undefined) lines.push(`  ${sanitiseLine(result.error.hint)} (${result.error.code})`);
  }
  if (mode === "stream" && !result.destroyed && result.error === undefined) {
    lines.push(`sandbox: not shown to be destroyed: ${sanitiseLine(result.proof)}`, "  Run `sandbox prune` once the engine works again.");
  }
  if (mode === "stream" && result.refused.length > 0) lines.push(refusals(result));
  if (mode === "stream" && result.artifacts.length > 0) {
    lines.push(
      `sandbox: ${result.artifacts.length} artifact${result.artifacts.length === 1 ? "" : "s"} in ${sanitiseLine(task.out ?? `sandbox-out/${result.run}`)}`,
    );
  }
  if (mode === "stream" && result.egress.some(({ decision }) => decision === "denied")) lines.push(...denials(result));
  if (mode === "stream" && result.proof === "kept")
    lines.push(`sandbox: kept as the container sandbox-${result.run}; remove it with: sandbox kill ${result.run}`);
  if (mode === "stream" && result.exit.code === 0 && result.limits.memory.peak === null) lines.push(UNCONFIRMED);
  if (verbose) lines.push(details(result, task));
  return lines.map((line) => `${line}\n`).join("");
}

/** Said once the command ran, where nothing inside shows a control group: some runtimes hold limits that they do not show, others hold none. */
const UNCONFIRMED =
  "sandbox: --memory, --cpus and --pids-limit could not be confirmed from inside; `sandbox doctor` says what this engine's runtimes are told to ignore";

const SHOWN = 5;

function refusals({ refused }: RunResult): string {
  const shown = refused.slice(0, SHOWN).map(({ path, why }) => `${sanitiseLine(path)} (${sanitiseLine(why)})`);
  const more = refused.length > SHOWN ? `, and ${refused.length - SHOWN} more` : "";
  return `sandbox: ${refused.length} path${refused.length === 1 ? " was" : "s were"} refused: ${shown.join(", ")}${more}`;
}

/** What was refused on the way out, each host once, and what would let it. */
function denials({ egress }: RunResult): readonly string[] {
  const denied = egress.filter(({ decision }) => decision === "denied");
  const places = denied.map(
    ({ host, port, why }) => `${sanitiseLine(port === null ? host : `${host}:${port}`)} (${sanitiseLine(why ?? "")})`,
  );
  const more = places.length > SHOWN ? `, and ${places.length - SHOWN} more` : "";
  const count = denied.reduce((sum, { connections }) => sum + connections, 0);
  const unknown = [...new Set(denied.filter(({ rule, port }) => rule === null && port === null).map(({ host }) => sanitiseLine(host)))];
  const named = `sandbox: ${count} attempt${count === 1 ? "" : "s"} to get out ${count === 1 ? "was" : "were"} refused: ${places.slice(0, SHOWN).join(", ")}${more}`;
  return unknown.length === 0
    ? [named]
    : [
        named,
        `  Allow with: ${unknown
          .slice(0, SHOWN)
          .map((host) => `--allow ${host}`)
          .join(" ")}`,
      ];
}

function details({ run, phases, usage, destroyed, proof }: RunResult, task: PresenterOptions["task"]): string {
  const spent = Object.entries(phases).map(([phase, ms]) => `${phase} ${formatDuration(ms)}`);
  const memory = usage.memoryPeak === null ? "" : `, memory ${formatSize(usage.memoryPeak)} of ${formatSize(task.quotas.memoryBytes)}`;
  return `sandbox: run ${run}: ${spent.join(", ")}${memory}; ${destroyed ? `destroyed (${proof})` : `not shown to be destroyed: ${sanitiseLine(proof)}`}`;
}
