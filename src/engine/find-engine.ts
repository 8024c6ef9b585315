import type { ChildProcess } from "node:child_process";
import { SandboxError, toSandboxError } from "../core/errors.ts";
import { createClient } from "./docker/client.ts";
import { createDockerEngine, type Found, greet } from "./docker/docker-engine.ts";
import type { FindRegistryAuth } from "./docker/images.ts";
import { currentContext, readTls } from "./docker-context.ts";
import { type Endpoint, endpointUrl, parseEndpoint } from "./endpoint.ts";
import type { Engine } from "./port.ts";
import { createWatchdog } from "./watchdog.ts";

/** What decides which engine it is. */
export type Place = {
  /** The address that the user named, if any: no other engine is tried then. */
  readonly host: string | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly home: string;
  /** User id of this process, for the places that rootless engines use. */
  readonly uid: number;
};

export type EngineSearch = Place & {
  /** Directory of the guests (`linux-x64/guest`, …) and their `SHA256SUMS`. */
  readonly guestDirectory: string;
  readonly seccompFile: string;
  /** The built `watchdog.js`; without it nothing cleans up behind a process that is killed between create and start. */
  readonly watchdogScript?: string;
  /** A process of `bootWatchdog`, so that none has to be started later. */
  readonly watchdogProcess?: ChildProcess | undefined;
  /** Gets a sentence for people about what was passed over. */
  readonly onWarning?: ((sentence: string) => void) | undefined;
};

/** How long an engine may take to say what it is, in milliseconds. */
const GREET_TIMEOUT = 3_500;
/** `ssh` makes its own connection first. */
const SSH_GREET_TIMEOUT = 30_000;

/**
 * Connects to the engine that the user named (`host`, `DOCKER_HOST`, `DOCKER_CONTEXT` or the current docker context, in this order), or
 * else to the first of the usual sockets that answers. A named engine is never replaced by another one. Throws `NO_ENGINE` with everything
 * that was tried, `ENGINE_DENIED`, `ENGINE_REFUSED`, `ENGINE_TIMEOUT`, `NOT_AN_ENGINE` or `BAD_HOST`.
 */
export async function connectEngine(search: EngineSearch): Promise<Engine> {
  const found = await findEngine(search);
  const { guestDirectory, seccompFile, watchdogScript: script, watchdogProcess: booted, env } = search;
  const watchdog = script === undefined ? undefined : createWatchdog({ endpoint: found.client.endpoint, script, env, booted });
  return createDockerEngine(found, { guestDirectory, seccompFile, watchdog }, registryAuthOf(search));
}

/** Looks for the logins of registries where the docker CLI keeps them. */
function registryAuthOf({ env, home, onWarning }: EngineSearch): FindRegistryAuth {
  return async (ref, signal) => {
    const { encodeCredentials, findCredentials } = await import("./registry-credentials.ts");
    const credentials = await findCredentials(ref, { env, home, signal, onWarning });
    return credentials === undefined ? undefined : encodeCredentials(credentials);
  };
}

/** The client and the name of the engine that `connectEngine` would use, for work that needs no containers. */
export async function findEngine(search: Place): Promise<Found> {
  const named = await namedEndpoint(search);
  return named === undefined ? firstThatAnswers(usualSockets(search), search) : meet(named, search);
}

/** The engine that the user asked for in one way or another, or `undefined` when there was no word about it. */
async function namedEndpoint({ host, env, home }: Place): Promise<Endpoint | undefined> {
  const address = host ?? nonEmpty(env["DOCKER_HOST"]);
  if (address !== undefined) return parseEndpoint(address, address.startsWith("unix:") ? undefined : await readTls({ env, home }));
  return currentContext({ env, home });
}

/** Sockets where engines listen unless told otherwise, the most usual first. */
function usualSockets({ env, home, uid }: Place): readonly string[] {
  const runtime = nonEmpty(env["XDG_RUNTIME_DIR"]) ?? `/run/user/${uid}`;
  return [
    "/var/run/docker.sock",
    `${runtime}/docker.sock`,
    `${home}/.docker/run/docker.sock`,
    `${home}/.docker/desktop/docker.sock`,
    `${home}/.colima/default/docker.sock`,
    `${home}/.rd/docker.sock`,
    `${home}/.orbstack/run/docker.sock`,
    `${runtime}/podman/podman.sock`,
    "/run/podman/podman.sock",
  ];
}

/** The first socket is tried alone, since it answers on most machines; the others are asked at once and the first in the list wins. */
async function firstThatAnswers([first, ...others]: readonly string[], search: Place): Promise<Found> {
  const failures: { readonly path: string; readonly error: SandboxError }[] = [];
  const attempt = async (path: string): Promise<Found | undefined> => {
    try {
      return await meet({ kind: "unix", path }, search);
    } catch (error) {
      failures.push({ path, error: toSandboxError(error) });
      return undefined;
    }
  };
  const usual = first === undefined ? undefined : await attempt(first);
  if (usual !== undefined) return usual;
  const found = (await Promise.all(others.map(attempt))).filter((candidate) => candidate !== undefined);
  for (const spare of found.slice(1)) spare.client.close();
  if (found[0] !== undefined) return found[0];
  throw nothingFound(failures);
}

async function meet(endpoint: Endpoint, { env }: Place): Promise<Found> {
  const client = await createClient(endpoint, env);
  try {
    return await greet(client, endpoint.kind === "ssh" ? SSH_GREET_TIMEOUT : GREET_TIMEOUT);
  } catch (error) {
    client.close();
    throw error;
  }
}

/** The error for a search that met no engine. What stands in the way of one that is there says more than the places where none is. */
export function nothingFound(failures: readonly { readonly path: string; readonly error: SandboxError }[]): SandboxError {
  const present = failures.find(({ error }) => error.code !== "NO_ENGINE");
  const list = failures.map(({ path, error }) => `${endpointUrl({ kind: "unix", path })} (${REASON[error.code] ?? error.code})`).join(", ");
  if (present === undefined) {
    return new SandboxError(
      "NO_ENGINE",
      `No container engine was found; tried ${list}.`,
      "Start Docker or Podman, or name an engine with --host or DOCKER_HOST.",
    );
  }
  return new SandboxError(present.error.code, `${present.error.message} Tried ${list}.`, present.error.hint, { cause: present.error });
}

const REASON: Readonly<Record<string, string>> = {
  NO_ENGINE: "not there",
  ENGINE_DENIED: "permission denied",
  ENGINE_REFUSED: "connection refused",
  ENGINE_TIMEOUT: "no answer",
  ENGINE_LOST: "connection broke",
  NOT_AN_ENGINE: "not an engine",
};

function nonEmpty(text: string | undefined): string | undefined {
  return text === "" ? undefined : text;
}
