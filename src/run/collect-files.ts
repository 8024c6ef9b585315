import { SandboxError } from "../core/errors.ts";
import type { Engine } from "../engine/port.ts";
import { inodesOf, WORKSPACE } from "../engine/posture.ts";
import type { Session } from "../guest/session.ts";
import type { Plan } from "./decide.ts";
import type { RunRecord } from "./record.ts";

/** How long results may take to come out. */
const COLLECT_MS = 120_000;

/** Reads artifacts and the patch out of the sandbox, in which nothing runs any more. A failure here is the run's failure, unless it had one already. */
export async function collectFiles(
  record: RunRecord,
  plan: Plan,
  live: { readonly session: Session; readonly engine: Engine },
): Promise<void> {
  const { task } = record;
  const { session, engine } = live;
  if (plan.out === undefined && task.patch === undefined) return;
  const { artifactRoots } = await import("../files/outputs.ts");
  const { collect } = await import("../files/collect.ts");
  const paths = task.patch === undefined ? artifactRoots(task.artifacts) : ["."];
  const { output, done } = session.pack({ directory: WORKSPACE, paths });
  const { diskBytes } = task.quotas;
  const collected = await collect({
    archive: output,
    notes: done,
    globs: task.artifacts,
    out: plan.out,
    baseline: task.patch === undefined ? undefined : { workspace: plan.workspace, digests: plan.digests },
    limits: { maxBytes: diskBytes, maxEntries: inodesOf(diskBytes) },
    signal: AbortSignal.timeout(COLLECT_MS),
    removeIfKilled: (path) => engine.removeIfKilled(path),
  });
  record.artifacts.push(...collected.artifacts);
  record.refused.push(...collected.refused);
  for (const { path, bytes, sha256 } of collected.artifacts) record.emit({ type: "artifact", path, bytes, sha256 });
  for (const refusal of collected.refused) record.emit({ type: "artifact.refused", ...refusal });
  if (collected.cut !== undefined) throw cutShort(collected.cut);
  if (task.patch === undefined) return;
  const { writeWhole } = await import("../files/write-whole.ts");
  await writeWhole(task.patch, collected.patch ?? "", "OUT_UNWRITABLE");
}

function cutShort(why: string): SandboxError {
  return new SandboxError(
    "COLLECT_FAILED",
    `The files could not be read out of the sandbox to their end: ${why}`,
    "Take what came whole; treat the image and the command as hostile.",
  );
}
