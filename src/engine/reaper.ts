import { toSandboxError } from "../core/errors.ts";
import { judgeOwner } from "./ownership.ts";
import type { Engine, OwnedContainer } from "./port.ts";

/** A container that never started, or has stopped, this long ago in milliseconds belongs to nobody any more. */
const ABANDONED_AFTER = 10 * 60 * 1000;

export type Pruned = { readonly removed: readonly string[]; readonly volumes: readonly string[] };

/**
 * Removes what dead owners left: the ids of the runs removed and the names of the guest volumes that no container uses. An owner is dead
 * when its pid is gone or belongs to another process now, which only a process of the same boot and pid namespace can tell. Of owners
 * elsewhere (before a reboot, on another machine that shares the engine, in a container) only what was created or stopped more than
 * 10 minutes ago and does not run is removed. Kept containers stay.
 */
export async function prune(engine: Engine, now: number = Date.now()): Promise<Pruned> {
  const removed = await pruneDeadOwners(engine, now);
  return { removed, volumes: await engine.removeUnusedGuests() };
}

/** Like `prune`, without the volumes: cheap enough for the start of any run. One that can't be removed does not keep the others; the first failure is thrown. */
export async function pruneDeadOwners(engine: Engine, now: number = Date.now()): Promise<readonly string[]> {
  const dead = (await engine.list()).filter((container) => isAbandoned(container, now));
  const outcomes = await Promise.allSettled(dead.map(async ({ run }) => ({ run, gone: await engine.remove(run) })));
  return outcomes.flatMap((outcome) => {
    if (outcome.status === "rejected") throw toSandboxError(outcome.reason);
    return outcome.value.gone ? [outcome.value.run] : [];
  });
}

/** Whether nobody owns this container any more; `now` in milliseconds since the epoch. */
export function isAbandoned(container: OwnedContainer, now: number): boolean {
  if (container.kept) return false;
  switch (judgeOwner(container.owner)) {
    case "dead":
      return true;
    case "alive":
      return container.state === "created" && isOld(container, now);
    case "elsewhere":
      return container.state !== "running" && container.state !== "paused" && isOld(container, now);
  }
}

function isOld(container: OwnedContainer, now: number): boolean {
  return now - container.created.getTime() > ABANDONED_AFTER;
}
