import type { RuleSpec, SecretRequest } from "./egress-spec.ts";

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
