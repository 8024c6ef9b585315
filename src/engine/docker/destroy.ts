import { SandboxError } from "../../core/errors.ts";
import type { Destroyed } from "../port.ts";
import { ASK_TIMEOUT, type Client } from "./client.ts";
import { messageOf, toEngineError } from "./engine-error.ts";
import { flagAt, numberAt, objectAt } from "./json.ts";

/** A container to be destroyed. `removal` resolves with `true` once the engine said by itself that the container is gone. */
export type Doomed = {
  readonly id: string;
  readonly removal: Promise<boolean> | undefined;
  /** Milliseconds until it is given up. */
  readonly timeout?: number;
};

type Step = { readonly outcome: "gone" | "asked" } | { readonly outcome: "failed"; readonly why: SandboxError };

const DESTROY_TIMEOUT = 10_000;
const PAUSE = 50;
const PATIENCE = 500;
/** A guest whose pipe has closed exits at once, and the engine removes the container by itself; asking it to do so too would slow both, most of all a busy one. */
const GRACE = 400;

/**
 * Removes a container in whatever state it is and resolves once the engine says that it is gone. An engine that restarts meanwhile is
 * waited for. Throws `DESTROY_FAILED` when the container is still there after 10 s, `ENGINE_LOST` when nobody could say.
 */
export async function destroyContainer(client: Client, { id, removal, timeout = DESTROY_TIMEOUT }: Doomed): Promise<Destroyed> {
  if (await saidRemoved(removal, GRACE)) return { destroyed: true, proof: "engine-removed" };
  const deadline = Date.now() + timeout;
  let failure: SandboxError | undefined;
  do {
    const step = await remove(client, { id, deadline });
    if (step.outcome === "gone") return { destroyed: true, proof: "engine-404" };
    if (step.outcome === "failed") failure = step.why;
    else if (await saidRemoved(removal, PATIENCE)) return { destroyed: true, proof: "engine-removed" };
    await new Promise((resolve) => setTimeout(resolve, PAUSE));
  } while (Date.now() < deadline);
  throw failure ?? stillThere(id, "the engine says that it is being removed");
}

/**
 * Kills a container that is to be kept and resolves when it has stopped. A frozen process takes no signal, so that a paused one is
 * let go after the kill has been sent.
 */
export async function stopContainer(client: Client, id: string): Promise<Destroyed> {
  const stopped = client.ask({
    method: "POST",
    path: `/containers/${id}/wait`,
    query: { condition: "not-running" },
    timeout: DESTROY_TIMEOUT,
  });
  const [, answer] = await Promise.all([kill(client, id), stopped]);
  if (answer.status === 200) return { destroyed: false, proof: "kept" };
  throw stillThere(id, messageOf(answer));
}

/** The exit status of process 1 once the container is gone; `undefined` when the engine could not say that it is. */
export async function waitForRemoval(client: Client, id: string): Promise<number | undefined> {
  try {
    const answer = await client.ask({ method: "POST", path: `/containers/${id}/wait`, query: { condition: "removed" } });
    return answer.status === 200 ? numberAt(answer.body, "StatusCode") : undefined;
  } catch {
    return undefined;
  }
}

async function remove(client: Client, { id, deadline }: { readonly id: string; readonly deadline: number }): Promise<Step> {
  const timeout = Math.max(1, Math.min(ASK_TIMEOUT, deadline - Date.now()));
  try {
    const answer = await client.ask({ method: "DELETE", path: `/containers/${id}`, query: { force: "true", v: "true" }, timeout });
    if (answer.status === 404) return { outcome: "gone" };
    const left = await client.ask({ method: "GET", path: `/containers/${id}/json`, timeout });
    if (left.status === 404) return { outcome: "gone" };
    if (answer.status < 300 || answer.status === 409) return { outcome: "asked" };
    if (flagAt(objectAt(left.body, "State"), "Paused")) await kill(client, id);
    return { outcome: "failed", why: stillThere(id, messageOf(answer)) };
  } catch (error) {
    return { outcome: "failed", why: toEngineError(error, client.place) };
  }
}

async function kill(client: Client, id: string): Promise<void> {
  await client.ask({ method: "POST", path: `/containers/${id}/kill`, query: { signal: "SIGKILL" }, timeout: ASK_TIMEOUT });
  await client.ask({ method: "POST", path: `/containers/${id}/unpause`, timeout: ASK_TIMEOUT });
}

/** Gives the engine a moment to say by itself that the container is gone. */
async function saidRemoved(removal: Promise<boolean> | undefined, patience: number): Promise<boolean> {
  if (removal === undefined) return false;
  let clock: NodeJS.Timeout | undefined;
  const late = new Promise<boolean>((resolve) => {
    clock = setTimeout(() => resolve(false), patience);
  });
  return Promise.race([removal, late]).finally(() => clearTimeout(clock));
}

function stillThere(id: string, why: string): SandboxError {
  return new SandboxError(
    "DESTROY_FAILED",
    `The container ${id.slice(0, 12)} could not be removed: ${why}.`,
    "Run `sandbox prune` once the engine works again.",
  );
}
