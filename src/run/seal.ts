import { signalName } from "../core/signals.ts";
import { limitsOf, usageOf } from "./limits.ts";
import type { RunRecord } from "./record.ts";
import type { RunResult } from "./result.ts";

/** Makes the record into the result: after this nothing changes. */
export function seal(record: RunRecord): RunResult {
  const { task, engine, image, exit } = record;
  const ending = record.ending.current() ?? { reason: "failed" as const, detail: "The run ended without a reason." };
  const result: RunResult = {
    schema: "sandbox.result/1",
    run: record.run,
    task: null,
    labels: { ...task.labels },
    reason: ending.reason,
    detail: ending.detail,
    ...(ending.error === undefined ? {} : { error: { ...ending.error } }),
    exit: { code: exit?.code ?? null, signal: exit?.signal === undefined ? null : signalName(exit.signal) },
    image: { ref: task.image.ref, digest: image?.digest ?? image?.id ?? null },
    engine: engine === undefined ? null : { name: engine.name, version: engine.version, runtime: task.runtime ?? "default" },
    started: record.started.toISOString(),
    ended: new Date().toISOString(),
    phases: record.phases.totals(),
    stdout: record.stdout.finish(),
    stderr: record.stderr.finish(),
    artifacts: record.artifacts,
    refused: record.refused,
    usage: usageOf(record),
    limits: limitsOf(record),
    egress: (record.egress?.rows() ?? []).map((row) => ({ ...row })),
    destroyed: record.destroyed.destroyed,
    proof: record.destroyed.proof,
  };
  record.emit({ type: "run.sealed", result });
  return result;
}
