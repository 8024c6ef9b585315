import { parseSecretFlag } from "../egress/secret-flag.ts";
import type { Engine } from "../engine/port.ts";
import type { SecretRequest } from "../policy/egress-spec.ts";
import type { SandboxRequest, TaskRequest } from "../policy/task.ts";

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
