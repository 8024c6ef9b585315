import type { Duplex } from "node:stream";
import { containerName } from "../ownership.ts";
import type { Container, ContainerSpec, Destroyed } from "../port.ts";
import { examineContainer } from "./autopsy.ts";
import { type Answer, ASK_TIMEOUT, type Client } from "./client.ts";
import { cannotStart } from "./container-error.ts";
import { destroyContainer, stopContainer, waitForRemoval } from "./destroy.ts";
import { refused } from "./engine-error.ts";
import { fillGuestVolume, isGuestMissing } from "./guest-volume.ts";
import { CREATE_TIMEOUT, makeContainer, type Workshop } from "./make-container.ts";
import { createPipe } from "./pipe.ts";

/** Someone who fills the volume at the same time takes the guest away for a moment. */
const MOST_REFILLS = 3;
/** Milliseconds for a start that only lets the engine go of what it holds. */
const LETTING_GO = 1_000;

/**
 * Makes the container of `spec` without starting it. Throws what `makeContainer` does; its start throws `START_FAILED`, `RUNTIME_MISSING`,
 * `GUEST_MISSING` and the errors of the connection.
 */
export async function createContainer(workshop: Workshop, spec: ContainerSpec): Promise<Container> {
  const { client, watchdog } = workshop;
  const name = containerName(spec.run);
  const pipe = createPipe(client.place);
  let id = await makeContainer(workshop, spec);
  let removal: Promise<boolean> | undefined;
  /** Exit status of process 1 of a container that is removed. */
  let ended: Promise<number | undefined> = Promise.resolve(undefined);
  /** An attached one makes the engine wait for its start. */
  let state: "made" | "attached" | "started" = "made";
  let destroyed: Promise<Destroyed> | undefined;

  async function attach(): Promise<Duplex> {
    pipe.plug(await openStream(client, id));
    state = "attached";
    return pipe.stream;
  }

  async function start(): Promise<void> {
    const wasAttached = state === "attached";
    let answer = await tryStart();
    for (let left = MOST_REFILLS; left > 0 && answer.status >= 400 && isGuestMissing(answer); left -= 1) {
      await remake(wasAttached);
      answer = await tryStart();
    }
    if (answer.status >= 400) throw cannotStart(answer, spec);
    pipe.open();
  }

  /** The wait is under way before the start, so that the engine's word about the removal cannot be missed. */
  function tryStart(timeout = CREATE_TIMEOUT): Promise<Answer> {
    state = "started";
    ended = waitForRemoval(client, id);
    removal = ended.then((status) => status !== undefined);
    return client.ask({ method: "POST", path: `/containers/${id}/start`, timeout });
  }

  /** Someone emptied the volume, or its filling was cut short: fill it and put a new container in the place of the failed one. */
  async function remake(wasAttached: boolean): Promise<void> {
    await destroyContainer(client, { id, removal });
    await fillGuestVolume(client, { files: workshop.files, imageId: spec.image.id, watchdog });
    id = await makeContainer(workshop, spec);
    if (wasAttached) await attach();
  }

  async function destroy(): Promise<Destroyed> {
    pipe.stream.destroy();
    if (state === "attached" && !spec.keep) await letGo();
    const proof = await (spec.keep ? stopContainer(client, id) : destroyContainer(client, { id, removal }));
    if (spec.keep) watchdog?.release(name);
    else watchdog?.disarm(name);
    return proof;
  }

  /**
   * An attached container that goes away before it has started leaves the engine with a connection and five goroutines that nothing ends (Docker Engine
   * 20.10). So it is started: its pipe has ended, and the guest ends at once.
   */
  async function letGo(): Promise<void> {
    await tryStart(LETTING_GO).catch(() => undefined);
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
    autopsy: (patience) => examineContainer(client, { id, patience, ended }),
  };
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

async function pause(client: Client, id: string): Promise<void> {
  const answer = await client.ask({ method: "POST", path: `/containers/${id}/pause`, timeout: ASK_TIMEOUT });
  if (answer.status < 300) return;
  throw refused(answer, {
    code: "UNSUPPORTED",
    doing: `pause the container ${id.slice(0, 12)}`,
    hint: "Check that it still runs: sandbox ps.",
  });
}
