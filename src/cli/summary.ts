import { formatDuration, formatSize } from "../core/units.ts";
import { remedyFor } from "../egress/remedy.ts";
import { sanitiseLine } from "../output/sanitise.ts";
import type { RunResult } from "../run/result.ts";
import type { PresenterOptions } from "./presenter-options.ts";

/** The lines that people get at the end of a run: nothing when all went as asked. */
export function summarise(result: RunResult, { mode, task, verbose, taskFile }: PresenterOptions): string {
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
  if (mode === "stream" && result.egress.some(({ decision }) => decision === "denied")) lines.push(...denials(result, taskFile));
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

/** What was refused on the way out, each place once, and what would let it: flags can't widen a task file. */
function denials({ egress }: RunResult, taskFile: string | undefined): readonly string[] {
  const denied = egress.filter(({ decision }) => decision === "denied");
  const places = denied.map(
    ({ host, port, why }) => `${sanitiseLine(port === null ? host : `${host}:${port}`)} (${sanitiseLine(why ?? "")})`,
  );
  const more = places.length > SHOWN ? `, and ${places.length - SHOWN} more` : "";
  const count = denied.reduce((sum, { connections }) => sum + connections, 0);
  const named = `sandbox: ${count} attempt${count === 1 ? "" : "s"} to get out ${count === 1 ? "was" : "were"} refused: ${places.slice(0, SHOWN).join(", ")}${more}`;
  const remedies = denied.map(remedyFor).filter((remedy) => remedy !== undefined);
  if (remedies.length === 0) return [named];
  const wanted = [...new Set(remedies.map(({ flags, rule }) => (taskFile === undefined ? flags : rule)))].slice(0, SHOWN);
  return [
    named,
    taskFile === undefined ? `  Allow with: ${wanted.join(" ")}` : `  Allow in ${sanitiseLine(taskFile)} with: ${wanted.join(", ")}`,
  ];
}

function details({ run, phases, usage, destroyed, proof }: RunResult, task: PresenterOptions["task"]): string {
  const spent = Object.entries(phases).map(([phase, ms]) => `${phase} ${formatDuration(ms)}`);
  const memory = usage.memoryPeak === null ? "" : `, memory ${formatSize(usage.memoryPeak)} of ${formatSize(task.quotas.memoryBytes)}`;
  return `sandbox: run ${run}: ${spent.join(", ")}${memory}; ${destroyed ? `destroyed (${proof})` : `not shown to be destroyed: ${sanitiseLine(proof)}`}`;
}
