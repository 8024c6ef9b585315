import { SandboxError } from "../core/errors.ts";
import { parseDuration, parseSize } from "../core/units.ts";
import { parseAllow, type RuleSpec, type SecretRequest } from "./egress-spec.ts";
import {
  assertCommand,
  assertEnvironment,
  assertLabels,
  assertMountsApart,
  type MountRequest,
  parseCount,
  parseCpus,
  parseHostname,
  parseMount,
  parseUser,
  parseWorkdir,
} from "./task-fields.ts";

/**
 * What one run shall do, in the words of its caller. Sizes (`512m`) and durations (`30s`) carry units; what is left out gets the default
 * named at the field. Nothing is inherited from the caller's environment.
 */
export type TaskRequest = {
  /** Program and arguments, executed without a shell. */
  readonly command: readonly string[];
  /** Default `sandbox/base`. */
  readonly image?: string;
  /** Default `missing`. */
  readonly pull?: PullPolicy;
  /** Refuse an image that is not named by its digest. Default false. */
  readonly requireDigest?: boolean;
  /** Working directory inside. Default `/workspace`. */
  readonly workdir?: string;
  /** A directory of the host whose files are copied to `/workspace`. */
  readonly workspace?: string;
  /** Globs of what is not copied in; one without a slash matches at any depth. */
  readonly exclude?: readonly string[];
  /** Copy `.git` too. Default false. */
  readonly withGit?: boolean;
  /** `SRC:DST` or `SRC:DST:rw`. */
  readonly mounts?: readonly string[];
  /** Globs below `/workspace` that are collected after the command. */
  readonly artifacts?: readonly string[];
  /** Directory for the artifacts. Default `./sandbox-out/<run>`. */
  readonly out?: string;
  /** File for the workspace's changes as a unified diff. */
  readonly patch?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** What may leave, each as `--allow` takes it. Default nothing. */
  readonly allow?: readonly string[];
  /** Rules beside those of `allow`, which count no less. */
  readonly rules?: readonly RuleSpec[];
  readonly secrets?: readonly SecretRequest[];
  /** Find out what is used, for narrower rules. Default false. */
  readonly learn?: boolean;
  /** Allowed names may resolve to addresses of private networks. Default false. */
  readonly allowPrivate?: boolean;
  /** `30/m`, for each rule. Default unlimited. */
  readonly rate?: string;
  /** Bytes out in all. Default unlimited. */
  readonly maxEgress?: string;
  /** Default 512m, without swap. */
  readonly memory?: string;
  /** Default 1. */
  readonly cpus?: string;
  /** Default 256. */
  readonly pids?: string;
  /** Size of `/workspace`. Default 256m, at most half of `memory`. */
  readonly disk?: string;
  /** Size of `/tmp`. Default 64m, at most an eighth of `memory`. */
  readonly tmpSize?: string;
  /** Default 5m, from the command's start. */
  readonly timeout?: string;
  /** Between TERM and KILL. Default 2s. */
  readonly killAfter?: string;
  /** For each of standard output and standard error. Default 64m. */
  readonly maxOutput?: string;
  /** `UID` or `UID:GID`. Default 65532. */
  readonly user?: string;
  /** An OCI runtime known to the engine. */
  readonly runtime?: string;
  readonly hostname?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly keep?: boolean;
  /** A terminal instead of pipes. */
  readonly terminal?: boolean;
};

/** What a sandbox that stays open for many commands shall be: the fields of a task that are not about one command. */
export type SandboxRequest = Omit<TaskRequest, "command" | "artifacts" | "out" | "patch" | "learn" | "terminal">;

export type PullPolicy = "missing" | "always" | "never";

/** A `TaskRequest` with everything decided: no field is optional by accident. Sizes in bytes, durations in milliseconds. */
export type Task = {
  /** Empty for a sandbox that is opened first and gets its commands later. */
  readonly command: readonly string[];
  readonly image: { readonly ref: string; readonly pull: PullPolicy; readonly requireDigest: boolean };
  readonly workdir: string;
  readonly workspace: { readonly directory: string; readonly exclude: readonly string[]; readonly withGit: boolean } | undefined;
  readonly mounts: readonly MountRequest[];
  readonly artifacts: readonly string[];
  readonly out: string | undefined;
  readonly patch: string | undefined;
  readonly env: Readonly<Record<string, string>>;
  /** An empty list of rules lets nothing out. */
  readonly egress: {
    readonly rules: readonly RuleSpec[];
    readonly secrets: readonly SecretRequest[];
    readonly maxBytes: number | undefined;
    /** Find out what is used, for narrower rules. */
    readonly learn: boolean;
  };
  readonly quotas: Quotas;
  readonly user: { readonly uid: number; readonly gid: number };
  readonly runtime: string | undefined;
  readonly hostname: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly keep: boolean;
  readonly terminal: boolean;
};

export type Quotas = {
  readonly memoryBytes: number;
  readonly cpus: number;
  readonly pids: number;
  readonly diskBytes: number;
  readonly tmpBytes: number;
  readonly timeoutMs: number;
  readonly killAfterMs: number;
  readonly outputBytes: number;
};

export const DEFAULT_IMAGE = "sandbox/base";
export const DEFAULT_QUOTAS = {
  memory: "512m",
  cpus: "1",
  pids: "256",
  disk: "256m",
  tmpSize: "64m",
  timeout: "5m",
  killAfter: "2s",
  maxOutput: "64m",
} as const;
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

function resolveQuotas(request: TaskRequest): Quotas {
  const memoryBytes = parseSize(request.memory ?? DEFAULT_QUOTAS.memory, "--memory");
  /** A default that a small memory could not pay for is lowered with it. */
  const fitting = (given: string | undefined, fallback: string, what: string): number =>
    given === undefined
      ? Math.min(parseSize(fallback, what), Math.floor(memoryBytes / (what === "--disk" ? 2 : 8)))
      : parseSize(given, what);
  return {
    memoryBytes,
    cpus: parseCpus(request.cpus ?? DEFAULT_QUOTAS.cpus),
    pids: parseCount(request.pids ?? DEFAULT_QUOTAS.pids, "--pids-limit"),
    diskBytes: fitting(request.disk, DEFAULT_QUOTAS.disk, "--disk"),
    tmpBytes: fitting(request.tmpSize, DEFAULT_QUOTAS.tmpSize, "--tmp-size"),
    timeoutMs: parseDuration(request.timeout ?? DEFAULT_QUOTAS.timeout, "--timeout"),
    killAfterMs: parseDuration(request.killAfter ?? DEFAULT_QUOTAS.killAfter, "--kill-after"),
    outputBytes: parseSize(request.maxOutput ?? DEFAULT_QUOTAS.maxOutput, "--max-output"),
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
