import { resolve } from "node:path";
import { SandboxError } from "../core/errors.ts";
import type { Engine, Image } from "../engine/port.ts";
import { inodesOf, type Posture, resolvePosture } from "../engine/posture.ts";
import type { Workspace } from "../files/scan-workspace.ts";
import { DEFAULT_IMAGE } from "../policy/resolve-task.ts";
import type { RunContext } from "./context.ts";
import { type EgressPlan, planEgress } from "./egress-plan.ts";
import type { RunRecord } from "./record.ts";

/** Everything that is settled before a container exists. */
export type Plan = {
  readonly image: Image;
  readonly posture: Posture;
  readonly workspace: Workspace | undefined;
  /** Directory for artifacts, when the task wants any. */
  readonly out: string | undefined;
  /** SHA-256 of every file as it was copied in, by path; filled by copy-in for a patch. */
  readonly digests: Map<string, string>;
  readonly egress: EgressPlan;
};

/** Judges the task against the host, the image and the engine. Refuses before anything is started. */
export async function decide(record: RunRecord, context: RunContext): Promise<Plan> {
  const { task, run } = record;
  record.engine = context.engine.info;
  record.emit({ type: "run.started", command: task.command, image: task.image.ref });
  const out = await prepareOutputs(record, task.artifacts.length === 0 ? undefined : (task.out ?? `sandbox-out/${run}`));
  const [workspace, mounts, egress] = await Promise.all([scan(record), resolveMounts(record), planEgress(task, context)]);
  const image = await ensureImage(record, context);
  record.image = image;
  const posture = resolvePosture({
    user: task.user,
    hostname: task.hostname,
    runtime: task.runtime,
    memoryBytes: task.quotas.memoryBytes,
    cpus: task.quotas.cpus,
    pids: task.quotas.pids,
    workspaceBytes: task.quotas.diskBytes,
    tmpBytes: task.quotas.tmpBytes,
    mounts,
    imageVolumes: image.volumes,
  });
  return { image, posture, workspace, out, digests: new Map(), egress };
}

async function ensureImage(record: RunRecord, { engine }: RunContext): Promise<Image> {
  const { ref, pull } = record.task.image;
  const found = pull === "always" ? undefined : await engine.findImage(ref);
  const image = found ?? (await pullImage(record, engine));
  if (image.arch !== engine.info.arch) {
    throw new SandboxError(
      "IMAGE_PLATFORM",
      `The image ${ref} is made for ${image.arch}, but the engine runs ${engine.info.arch}.`,
      "Use an image of the engine's architecture.",
    );
  }
  return image;
}

async function pullImage(record: RunRecord, engine: Engine): Promise<Image> {
  const { ref, pull } = record.task.image;
  if (pull === "never")
    throw new SandboxError("NO_IMAGE", `The engine has no image ${ref}, and --pull never forbids to get it.`, imageHint(ref));
  if (isOwnBase(ref) && pull === "always")
    throw new SandboxError(
      "USAGE",
      `The image ${ref} is made here and in no registry, so that --pull always can't get it.`,
      "Leave out --pull; `sandbox images build` makes it anew when its recipe changed.",
    );
  if (isOwnBase(ref)) throw new SandboxError("NO_IMAGE", `The engine has no image ${ref} yet.`, imageHint(ref));
  const abort = new AbortController();
  const pulled = engine.pullImage(ref, {
    signal: abort.signal,
    onProgress: (progress) => record.emit({ type: "image.pulling", image: ref, progress }),
  });
  const image = await record.ending.unlessEnded(pulled);
  if (image !== undefined) return image;
  abort.abort();
  await pulled.catch(() => undefined);
  throw new SandboxError("INTERRUPTED", `The image ${ref} was not pulled to its end.`, "Run again.");
}

function imageHint(ref: string): string {
  return isOwnBase(ref) ? "Run `sandbox images build` once." : "Build or load it, or leave out --pull never.";
}

async function scan({ task }: RunRecord): Promise<Workspace | undefined> {
  if (task.workspace === undefined) return undefined;
  const { scanWorkspace } = await import("../files/scan-workspace.ts");
  const { directory, exclude, withGit } = task.workspace;
  const { diskBytes } = task.quotas;
  return scanWorkspace(directory, { exclude, withGit, maxBytes: diskBytes, maxEntries: inodesOf(diskBytes) });
}

async function resolveMounts({ task }: RunRecord): Promise<Posture["mounts"]> {
  if (task.mounts.length === 0) return [];
  const { resolveMount } = await import("../engine/mount-rules.ts");
  return Promise.all(task.mounts.map((mount) => resolveMount({ ...mount, source: resolve(mount.source) })));
}

/** Refuses places for results that can't be written before anything starts; answers the absolute output directory. */
async function prepareOutputs({ task }: RunRecord, out: string | undefined): Promise<string | undefined> {
  if (out === undefined && task.patch === undefined) return undefined;
  const { artifactRoots, assertOutDirectory, assertTemporaryDirectory, assertWritableFile } = await import("../files/outputs.ts");
  artifactRoots(task.artifacts);
  if (task.patch !== undefined) await assertWritableFile(task.patch);
  if (out !== undefined) return assertOutDirectory(out);
  assertTemporaryDirectory();
  return undefined;
}

function isOwnBase(ref: string): boolean {
  return ref.split(":")[0] === DEFAULT_IMAGE;
}
