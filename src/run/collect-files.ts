import { SandboxError } from "../core/errors.ts";
import type { Engine } from "../engine/port.ts";
import { inodesOf, WORKSPACE } from "../engine/posture.ts";
import type { Collected } from "../files/collect.ts";
import type { Baseline } from "../files/patch.ts";
import type { Session } from "../guest/session.ts";
import type { Plan } from "./decide.ts";
import type { RunRecord } from "./record.ts";

type Live = { readonly session: Session; readonly engine: Engine };

/** How long results may take to come out. */
const COLLECT_MS = 120_000;

/** Reads artifacts and the patch out of the sandbox, in which nothing runs any more. A failure here is the run's failure, unless it had one already. */
export async function collectFiles(record: RunRecord, plan: Plan, live: Live): Promise<void> {
  const { task } = record;
  if (plan.out === undefined && task.patch === undefined) return;
  const collected = await takeOut(record, live, {
    globs: task.artifacts,
    out: plan.out,
    baseline: task.patch === undefined ? undefined : { workspace: plan.workspace, digests: plan.digests },
  });
  record.artifacts.push(...collected.artifacts);
  record.refused.push(...collected.refused);
  if (collected.cut !== undefined) throw cutShort(collected.cut);
  if (task.patch === undefined) return;
  const { writeWhole } = await import("../files/write-whole.ts");
  await writeWhole(task.patch, collected.patch ?? "", "OUT_UNWRITABLE");
}

/** Collects from a sandbox that lives on into the new directory `out`. Throws `BAD_GLOB`, `OUT_UNWRITABLE` and `COLLECT_FAILED`. */
export async function collectInto(record: RunRecord, live: Live, wanted: { readonly globs: readonly string[]; readonly out: string }) {
  const { artifactRoots, assertOutDirectory } = await import("../files/outputs.ts");
  artifactRoots(wanted.globs);
  const out = await assertOutDirectory(wanted.out);
  const { artifacts, refused, cut } = await takeOut(record, live, { globs: wanted.globs, out, baseline: undefined });
  if (cut !== undefined) throw cutShort(cut);
  return { artifacts, refused };
}

type Wanted = { readonly globs: readonly string[]; readonly out: string | undefined; readonly baseline: Baseline | undefined };

async function takeOut(record: RunRecord, { session, engine }: Live, { globs, out, baseline }: Wanted): Promise<Collected> {
  const { artifactRoots } = await import("../files/outputs.ts");
  const { collect } = await import("../files/collect.ts");
  const paths = baseline === undefined ? artifactRoots(globs) : ["."];
  const { output, done } = session.pack({ directory: WORKSPACE, paths });
  const { diskBytes } = record.task.quotas;
  const collected = await collect({
    archive: output,
    notes: done,
    globs,
    out,
    baseline,
    limits: { maxBytes: diskBytes, maxEntries: inodesOf(diskBytes) },
    signal: AbortSignal.timeout(COLLECT_MS),
    removeIfKilled: (path) => engine.removeIfKilled(path),
  });
  for (const { path, bytes, sha256 } of collected.artifacts) record.emit({ type: "artifact", path, bytes, sha256 });
  for (const refusal of collected.refused) record.emit({ type: "artifact.refused", ...refusal });
  return collected;
}

function cutShort(why: string): SandboxError {
  return new SandboxError(
    "COLLECT_FAILED",
    `The files could not be read out of the sandbox to their end: ${why}`,
    "Take what came whole; treat the image and the command as hostile.",
  );
}
