import { pipeline } from "node:stream/promises";
import { WORKSPACE } from "../engine/posture.ts";
import type { Refusal } from "../files/scan-workspace.ts";
import type { Session } from "../guest/session.ts";
import type { Plan } from "./decide.ts";
import type { RunRecord } from "./record.ts";

/** Streams the workspace into the sandbox as a tar stream. What can't be created there is listed as refused. */
export async function copyIn(record: RunRecord, plan: Plan, session: Session): Promise<void> {
  if (plan.workspace === undefined) return;
  const { packWorkspace } = await import("../files/pack-workspace.ts");
  const { input, done } = session.unpack(WORKSPACE);
  const changed: Refusal[] = [];
  const archive = packWorkspace(plan.workspace, { changed, digests: record.task.patch === undefined ? undefined : plan.digests });
  const copied = Promise.all([pipeline(archive, input), done]);
  copied.catch(() => undefined);
  const outcome = await record.ending.unlessEnded(copied);
  if (outcome === undefined) {
    archive.destroy();
    return;
  }
  for (const note of outcome[1]) plan.digests.delete(note.path);
  const skipped = [...plan.workspace.skipped, ...changed, ...outcome[1]];
  record.refused.push(...skipped);
  record.emit({ type: "files.copied", files: plan.workspace.entries.length, bytes: plan.workspace.bytes, skipped });
}
