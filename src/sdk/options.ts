import type { BatchTask } from "../batch/batch-task.ts";
import type { BatchEvent } from "../batch/events.ts";
import { parseSecretFlag } from "../egress/secrets/secret-flag.ts";
import type { Engine } from "../engine/port.ts";
import type { SecretRequest } from "../policy/egress-spec.ts";
import type { SandboxRequest, TaskRequest } from "../policy/task-request.ts";
import type { Input } from "../run/command-input.ts";

/** Which engine to use, and what every call takes beside its task. */
export type EngineChoice = {
  /** `unix://PATH`, `tcp://HOST:PORT` (TLS) or `ssh://[USER@]HOST`. Default `DOCKER_HOST`, the docker context, the usual sockets. */
  readonly host?: string;
  /** One of `openEngine`, which stays open; `host` does not count then. */
  readonly engine?: Engine;
};

/** Secrets are `NAME@HOST`, `NAME=file:PATH@HOST` and so on, as `--secret` takes them, or their parts. */
type Secrets = { readonly secrets?: readonly (string | SecretRequest)[] };

/** What one run shall do. The names are those of the flags of `sandbox run`. */
export type RunOptions = Omit<TaskRequest, "secrets" | "terminal" | "learn"> & Secrets & EngineChoice;

/** What a sandbox shall be that stays open for many commands. */
export type SandboxOptions = Omit<SandboxRequest, "secrets"> &
  Secrets &
  EngineChoice & {
    /** Aborting gives the opening up, or closes the sandbox. */
    readonly signal?: AbortSignal;
  };

/** What `runTask` takes. */
export type TaskOptions = RunOptions & {
  /** What the command reads. Default nothing. */
  readonly stdin?: Input;
  /** Aborting asks the command to end with SIGTERM, and ends everything after `killAfter`. */
  readonly signal?: AbortSignal;
  /** Takes output as it comes; the next piece waits for the returned promise. */
  readonly onOutput?: (stream: "stdout" | "stderr", piece: Uint8Array) => Promise<void> | void;
};

/** What `runBatch` takes. */
export type BatchOptions = Omit<RunOptions, "command" | "out" | "patch" | "keep"> & {
  /** Tasks, or the path of a list as `sandbox batch` reads it (JSON Lines, YAML, CSV). They can only narrow what the batch is given. */
  readonly tasks: string | Iterable<BatchTask> | AsyncIterable<BatchTask>;
  /** The command for each row of a CSV list. */
  readonly template?: string;
  /** Directory for the results. */
  readonly out: string;
  /** Go on with the batch that is there. Default false. */
  readonly resume?: boolean;
  /** Tasks at one time. Default 2. */
  readonly jobs?: number;
  /** How often a task is tried again where the sandbox or the engine failed. Default 0. */
  readonly retries?: number;
  /** Start no task after the first that does not complete with exit status 0. Default false. */
  readonly failFast?: boolean;
  /** Aborting starts no more tasks, and asks those that run to end. */
  readonly signal?: AbortSignal;
  readonly onEvent?: (event: BatchEvent) => void;
};

/** What `openEngine` takes. */
export type EngineOptions = {
  /** As in `EngineChoice`. */
  readonly host?: string;
  /** Most containers that are kept ready ahead of need. Default 0: none. */
  readonly pool?: number;
  /** Gets a sentence for people about what was passed over, such as a credential helper that is not installed. */
  readonly onWarning?: (sentence: string) => void;
};

/** The request without what is no part of it. Throws `BAD_SECRET`. */
export function requestOf<Options extends Secrets & EngineChoice>(
  options: Options,
): Omit<Options, "secrets" | "host" | "engine"> & { readonly secrets: readonly SecretRequest[] } {
  const { secrets = [], host: _host, engine: _engine, ...request } = options;
  return { ...request, secrets: secrets.map(parseSecret) };
}

function parseSecret(secret: string | SecretRequest): SecretRequest {
  return typeof secret === "string" ? { ...parseSecretFlag(secret), in: ["header"] } : secret;
}
