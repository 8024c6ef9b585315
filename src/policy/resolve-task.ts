import { SandboxError } from "../core/errors.ts";
import { parseSize } from "../core/units.ts";
import { parseAllow } from "./egress-spec.ts";
import { resolveQuotas } from "./quotas.ts";
import type { Task } from "./task.ts";
import {
  assertCommand,
  assertEnvironment,
  assertLabels,
  assertMountsApart,
  parseHostname,
  parseMount,
  parseUser,
  parseWorkdir,
} from "./task-fields.ts";
import type { SandboxRequest, TaskRequest } from "./task-request.ts";

export const DEFAULT_IMAGE = "sandbox/base";
export const DEFAULT_UID = 65_532;

/** Parses and completes a request. Throws one `SandboxError` that names the first bad value; nothing outside is touched. */
export function resolveTask(request: TaskRequest): Task {
  assertCommand(request.command);
  return completeTask(request);
}

/** Like `resolveTask`, without a command. Time and output limits are those of each command that does not bring its own. */
export function resolveSandbox(request: SandboxRequest): Task {
  return completeTask({ ...request, command: [] });
}

function completeTask(request: TaskRequest): Task {
  assertEnvironment(request.env ?? {});
  assertLabels(request.labels ?? {});
  if (request.workspace === undefined && (request.withGit === true || (request.exclude ?? []).length > 0)) {
    throw new SandboxError(
      "USAGE",
      "--exclude and --with-git say what of the workspace is copied, but there is no workspace.",
      "Name a directory with --workspace.",
    );
  }
  const mounts = (request.mounts ?? []).map(parseMount);
  assertMountsApart(mounts, request.workspace !== undefined);
  const task: Task = {
    command: request.command,
    image: { ref: resolveImageRef(request), pull: request.pull ?? "missing", requireDigest: request.requireDigest ?? false },
    workdir: parseWorkdir(request.workdir ?? "/workspace"),
    workspace:
      request.workspace === undefined
        ? undefined
        : { directory: request.workspace, exclude: request.exclude ?? [], withGit: request.withGit ?? false },
    mounts,
    artifacts: request.artifacts ?? [],
    out: request.out,
    patch: request.patch,
    env: request.env ?? {},
    egress: resolveEgress(request),
    quotas: resolveQuotas(request),
    user: parseUser(request.user ?? String(DEFAULT_UID)),
    runtime: request.runtime,
    hostname: parseHostname(request.hostname ?? "sandbox"),
    labels: request.labels ?? {},
    keep: request.keep ?? false,
    terminal: request.terminal ?? false,
  };
  return Object.freeze(task);
}

function resolveEgress(request: TaskRequest): Task["egress"] {
  const { allow = [], rules = [], secrets = [], allowPrivate = false, learn = false, rate, maxEgress } = request;
  const all = [...rules, ...allow.flatMap(parseAllow)];
  if (all.length === 0 && (allowPrivate || learn || rate !== undefined || maxEgress !== undefined || secrets.length > 0))
    throw new SandboxError(
      "USAGE",
      "--allow-private, --rate, --max-egress, --secret and --learn say how something may leave, but nothing may.",
      "Name what may be reached with --allow HOST.",
    );
  const doubled = secrets.find(({ name }) => request.env?.[name] !== undefined);
  if (doubled !== undefined)
    throw new SandboxError(
      "BAD_SECRET",
      `${doubled.name} is given as a secret and as a variable.`,
      "Leave out -e: the secret's placeholder takes its place.",
    );
  return {
    rules: all.map((rule) => ({ ...rule, allowPrivate: rule.allowPrivate || allowPrivate, rate: rule.rate ?? rate })),
    secrets,
    learn,
    maxBytes: maxEgress === undefined ? undefined : parseSize(maxEgress, "--max-egress"),
  };
}

const IMAGE_REF = /^[A-Za-z0-9][A-Za-z0-9._:/@-]{0,254}$/;
const BY_DIGEST = /(?:^|@)sha256:[0-9a-f]{64}$/;

function resolveImageRef(request: TaskRequest): string {
  const ref = request.image ?? DEFAULT_IMAGE;
  if (!IMAGE_REF.test(ref)) throw new SandboxError("USAGE", `"${ref}" is not an image reference.`, "Write NAME[:TAG] or NAME@sha256:….");
  if (request.requireDigest === true && !BY_DIGEST.test(ref)) {
    throw new SandboxError(
      "IMAGE_DIGEST",
      `The image ${ref} is not named by its digest, as --require-digest wants.`,
      "Write NAME@sha256:…; `docker image inspect` shows the digest.",
    );
  }
  return ref;
}
