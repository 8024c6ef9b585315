import type { Duplex } from "node:stream";
import { setTimeout as delay } from "node:timers/promises";
import { SandboxError } from "../../core/errors.ts";
import type { GuestFiles } from "../guest-files.ts";
import { containerName, currentOwner, LABEL, ownershipLabels } from "../ownership.ts";
import type { Autopsy, Container, ContainerSpec, Destroyed } from "../port.ts";
import type { Watchdog } from "../watchdog.ts";
import { type Answer, ASK_TIMEOUT, type Client } from "./client.ts";
import { containerBody } from "./container-body.ts";
import { destroyContainer, stopContainer } from "./destroy.ts";
import { messageOf, plain, refused } from "./engine-error.ts";
import { fillGuestVolume, findGuestVolume, type GuestVolume, isGuestMissing, seccompPath } from "./guest-volume.ts";
import { flagAt, listAt, numberAt, objectAt, optionalStringAt, stringAt } from "./json.ts";
import { createPipe } from "./pipe.ts";
import { assertNoRuntime, type Dialect, podmanBody } from "./podman.ts";

/** What the containers of one engine have in common. */
export type Workshop = {
  readonly client: Client;
  readonly dialect: Dialect;
  readonly files: GuestFiles;
  /** The guest's volume as it was found when the engine was; `undefined` when it was missing. */
  readonly volume: Promise<GuestVolume | undefined>;
  readonly watchdog: Watchdog | undefined;
};

/** Someone who fills the volume at the same time takes the guest away for a moment. */
const MOST_REFILLS = 3;
/** Creating and starting take as long as the engine's disks and cgroups do. */
const CREATE_TIMEOUT = 60_000;

/**
 * Makes the container of `spec` without starting it, and fills the guest's volume where it is missing. Throws `NO_IMAGE`, `RUNTIME_MISSING`,
 * `CREATE_FAILED`, `GUEST_MISSING` and the errors of the connection.
 */
export async function createContainer(workshop: Workshop, spec: ContainerSpec): Promise<Container> {
  const { client, watchdog } = workshop;
  const name = containerName(spec.run);
  const pipe = createPipe(client.place);
  let id = await make(workshop, spec);
  let removal: Promise<boolean> | undefined;
  /** Exit status of process 1 of a container that is removed. */
  let ended: Promise<number | undefined> = Promise.resolve(undefined);
  let attached = false;
  let destroyed: Promise<Destroyed> | undefined;

  async function attach(): Promise<Duplex> {
    pipe.plug(await openStream(client, id));
    attached = true;
    return pipe.stream;
  }

  async function start(): Promise<void> {
    let answer = await tryStart();
    for (let left = MOST_REFILLS; left > 0 && answer.status >= 400 && isGuestMissing(answer); left -= 1) {
      await remake();
      answer = await tryStart();
    }
    if (answer.status >= 400) throw cannotStart(answer, spec);
    pipe.open();
  }

  /** The wait is under way before the start, so that the engine's word about the removal cannot be missed. */
  function tryStart(): Promise<Answer> {
    ended = waitForRemoval(client, id);
    removal = ended.then((status) => status !== undefined);
    return client.ask({ method: "POST", path: `/containers/${id}/start`, timeout: CREATE_TIMEOUT });
  }

  /** Someone emptied the volume, or its filling was cut short: fill it and put a new container in the place of the failed one. */
  async function remake(): Promise<void> {
    await destroyContainer(client, { id, removal });
    await fillGuestVolume(client, { files: workshop.files, imageId: spec.image.id, watchdog });
    id = await make(workshop, spec);
    if (attached) await attach();
  }

  async function destroy(): Promise<Destroyed> {
    pipe.stream.destroy();
    const proof = await (spec.keep ? stopContainer(client, id) : destroyContainer(client, { id, removal }));
    watchdog?.disarm(name);
    return proof;
  }

  return {
    get id() {
      return id;
    },
    name,
    attach,
    start,
    diagnostics: pipe.diagnostics,
    pause: () => pause(client, id),
    destroy: () => {
      destroyed ??= destroy().catch((error: unknown) => {
        destroyed = undefined;
        throw error;
      });
      return destroyed;
    },
    autopsy: (patience) => autopsy(client, { id, patience, ended }),
  };
}

/** Makes the container, after filling the volume where it is missing; an engine that keeps the profile there says so only now. */
async function make(workshop: Workshop, spec: ContainerSpec): Promise<string> {
  const { client, dialect, files, watchdog } = workshop;
  if (dialect === "podman") assertNoRuntime(spec.posture);
  const filling = { files, imageId: spec.image.id, watchdog };
  const volume = (await workshop.volume) ?? (await findGuestVolume(client, files.version)) ?? (await fillGuestVolume(client, filling));
  let answer = await askCreate(workshop, { spec, volume });
  if (answer.status !== 201 && isGuestMissing(answer))
    answer = await askCreate(workshop, { spec, volume: await fillGuestVolume(client, filling) });
  if (answer.status !== 201) {
    workshop.watchdog?.disarm(containerName(spec.run));
    throw cannotCreate(answer, spec);
  }
  const id = stringAt(answer.body, "Id");
  const warnings = listAt(answer.body, "Warnings").filter((warning) => typeof warning === "string");
  const ignored = warnings.find((warning) => /discarded/i.test(warning));
  if (ignored === undefined) return id;
  await destroyContainer(client, { id, removal: undefined });
  throw new SandboxError(
    "UNSUPPORTED",
    `The engine would ignore a limit: ${plain(ignored)}.`,
    "Run `sandbox doctor` to see what this machine cannot limit.",
  );
}

/** The watchdog starts while the engine works: arming it first would make every run wait for it. */
function askCreate(
  { client, dialect, files, watchdog }: Workshop,
  { spec, volume }: { readonly spec: ContainerSpec; readonly volume: GuestVolume },
): Promise<Answer> {
  const body = containerBody(spec.posture, {
    imageId: spec.image.id,
    labels: {
      ...spec.labels,
      ...ownershipLabels(spec.run, { owner: currentOwner(), keep: spec.keep }),
      [LABEL.image]: spec.image.ref,
    },
    guestVolume: volume,
    seccomp: dialect === "podman" ? seccompPath(volume) : files.seccomp,
    keep: spec.keep,
  });
  const json = dialect === "podman" ? podmanBody(body, { posture: spec.posture, volume }) : body;
  const answer = client.ask({
    method: "POST",
    path: "/containers/create",
    query: { name: containerName(spec.run) },
    json,
    timeout: CREATE_TIMEOUT,
  });
  watchdog?.arm(containerName(spec.run));
  return answer;
}

async function openStream(client: Client, id: string): Promise<Duplex> {
  const query = { stream: "1", stdin: "1", stdout: "1", stderr: "1" };
  const opened = await client.hijack({ method: "POST", path: `/containers/${id}/attach`, query, timeout: ASK_TIMEOUT });
  if ("socket" in opened) return opened.socket;
  throw refused(opened, {
    code: "ENGINE_LOST",
    doing: `connect to the container ${id.slice(0, 12)}`,
    hint: "Run again; if it stays, run `sandbox doctor`.",
  });
}

/** The exit status of process 1 once the container is gone; `undefined` when the engine could not say that it is. */
async function waitForRemoval(client: Client, id: string): Promise<number | undefined> {
  try {
    const answer = await client.ask({ method: "POST", path: `/containers/${id}/wait`, query: { condition: "removed" } });
    return answer.status === 200 ? numberAt(answer.body, "StatusCode") : undefined;
  } catch {
    return undefined;
  }
}

async function pause(client: Client, id: string): Promise<void> {
  const answer = await client.ask({ method: "POST", path: `/containers/${id}/pause`, timeout: ASK_TIMEOUT });
  if (answer.status < 300) return;
  throw refused(answer, {
    code: "UNSUPPORTED",
    doing: `pause the container ${id.slice(0, 12)}`,
    hint: "Check that it still runs: sandbox ps.",
  });
}

type Dying = { readonly id: string; readonly patience: number; readonly ended: Promise<number | undefined> };

/** A container whose pipe has just closed may still be dying: the engine is given `patience` ms to see its end. */
async function autopsy(client: Client, { id, patience, ended }: Dying): Promise<Autopsy | undefined> {
  if (patience > 0) {
    const stopped = client.ask({ method: "POST", path: `/containers/${id}/wait`, query: { condition: "not-running" }, timeout: patience });
    await stopped.catch(() => undefined);
  }
  const answer = await client.ask({ method: "GET", path: `/containers/${id}/json`, timeout: ASK_TIMEOUT });
  if (answer.status === 404) return gone(await Promise.race([ended, delay(patience, undefined, { ref: false })]));
  if (answer.status !== 200) return undefined;
  const state = objectAt(answer.body, "State");
  return {
    oomKilled: flagAt(state, "OOMKilled"),
    exitCode: numberAt(state, "ExitCode"),
    running: flagAt(state, "Running"),
    paused: flagAt(state, "Paused"),
    error: optionalStringAt(state, "Error") ?? "",
  };
}

/** Of a container that the engine has removed it said no more than the exit status. */
function gone(exitCode: number | undefined): Autopsy | undefined {
  return exitCode === undefined ? undefined : { oomKilled: false, exitCode, running: false, paused: false, error: "" };
}

function cannotCreate(answer: Answer, { image, posture }: ContainerSpec): SandboxError {
  const message = messageOf(answer);
  if (answer.status === 404 || /no such image/i.test(message))
    return new SandboxError("NO_IMAGE", `The engine has no image ${image.ref}.`, `Pull it first: docker pull ${image.ref}.`);
  if (posture.runtime !== undefined && /runtime/i.test(message)) return runtimeMissing(posture.runtime, message);
  const most = /range of CPUs is from .* to (\d+(?:\.\d+)?)/i.exec(message)?.[1];
  if (most !== undefined) return tooManyCpus(posture.cpus, Number(most));
  return refused(answer, {
    code: "CREATE_FAILED",
    doing: "make the container",
    hint: "Run `sandbox doctor` to see what this engine cannot do.",
  });
}

/** Only the engine knows its machine, which may be another one than ours. */
function tooManyCpus(wanted: number, most: number): SandboxError {
  return new SandboxError(
    "BAD_QUOTA",
    `--cpus is "${wanted}", more than the ${most} that the engine's machine has.`,
    `Write ${most} or less, such as --cpus ${most}.`,
  );
}

function cannotStart(answer: Answer, { posture }: ContainerSpec): SandboxError {
  const message = messageOf(answer);
  if (posture.runtime !== undefined && /executable file not found|unknown runtime|no such file/i.test(message))
    return runtimeMissing(posture.runtime, message);
  return refused(answer, {
    code: "START_FAILED",
    doing: "start the container",
    hint: "Run `sandbox doctor` to see what this engine cannot do.",
  });
}

function runtimeMissing(runtime: string, message: string): SandboxError {
  return new SandboxError(
    "RUNTIME_MISSING",
    `The engine cannot use the runtime ${JSON.stringify(runtime)}: ${message}.`,
    "Install it and add it to the engine's configuration, or leave --runtime out.",
  );
}
