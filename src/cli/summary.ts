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
  if (mode === "stream" && result.proof === "kept")
    lines.push(`sandbox: kept as the container sandbox-${result.run}; remove it with: sandbox kill ${result.run}`);
  if (mode === "stream" && result.exit.code === 0 && result.limits.memory.peak === null) lines.push(UNCONFIRMED);
  if (verbose) lines.push(details(result));
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

function details({ run, phases, usage, limits, destroyed, proof }: RunResult): string {
  const spent = Object.entries(phases).map(([phase, ms]) => `${phase} ${formatDuration(ms)}`);
  const memory = usage.memoryPeak === null ? "" : `, memory ${formatSize(usage.memoryPeak)} of ${formatSize(limits.memory.limit)}`;
  return `sandbox: run ${run}: ${spent.join(", ")}${memory}; ${destroyed ? `destroyed (${proof})` : `not shown to be destroyed: ${sanitiseLine(proof)}`}`;
}
