import { setImmediate } from "node:timers/promises";
import { isDeepStrictEqual } from "node:util";
import { SandboxError, toSandboxError } from "../core/errors.ts";
import { createRunId } from "../core/ids.ts";
import { createDemand } from "./demand.ts";
import type { Container, ContainerSpec, Engine, Image } from "./port.ts";
import { makeReady, type ReadyContainer } from "./ready-container.ts";

export type PoolOptions = {
  /** Most containers that wait at once; 0 for none. A waiting one takes about a megabyte of memory and no CPU. */
  readonly max: number;
  /** How many will be asked for in all, where that is known: none is made ready beyond it. */
  readonly total?: number;
};

/** An engine that has containers ready. Disposing destroys those that wait, and leaves the engine below open; `close` closes that too. */
export type Pool = Engine &
  AsyncDisposable & {
    /** Settles when nothing is being prepared or cleared away, with the number of containers that wait. */
    settled(): Promise<number>;
  };

/** What was handed out an id and has not been made in so long will hardly be: a run that failed before it needed a container. */
const RESERVED_MS = 30_000;
/** For how long a number of containers in use at once counts. */
const PERIOD_MS = 30_000;
/** A command that was just handed a container starts first, undisturbed by the making of the next one. */
const REFILL_MS = 25;

/**
 * Puts a pool of started containers in front of an engine. It prepares what the last `create` asked for (same image and posture, no mounts, no labels of the
 * user, not to be kept), as many as were in use at once lately, at least one and at most `max`; when what is asked for changes, only once two in a row
 * are the same. Each is used once, and one that died is never handed out. What an image reference stands for is looked up once: an image that gets
 * another content under the same name is noticed with `pull: always` only. Throws `USAGE` for a bad `max`.
 */
export function createPool(engine: Engine, { max, total = Infinity }: PoolOptions): Pool {
  if (!Number.isSafeInteger(max) || max < 0)
    throw new SandboxError("USAGE", `The pool's max is ${max}, which is not a number of containers.`, "Write a whole number such as 4.");
  const images = new Map<string, Image>();
  const demand = createDemand(PERIOD_MS, () => performance.now());
  const waiting: ReadyContainer[] = [];
  const reserved = new Map<string, { readonly ready: ReadyContainer; readonly timer: NodeJS.Timeout }>();
  /** What is under way and must have ended before the pool has. */
  const work = new Set<Promise<unknown>>();
  const failures: SandboxError[] = [];
  let making = 0;
  let lent = 0;
  let wanted: ContainerSpec | undefined;
  let isSteady = true;
  let refilling: NodeJS.Timeout | undefined;
  let closed = false;
  const shrinking = setInterval(adjust, PERIOD_MS).unref();

  function newRun(): string {
    const ready = waiting.shift();
    if (ready === undefined) return createRunId();
    const { run } = ready.spec;
    const timer = setTimeout(() => discard(takeReserved(run)), RESERVED_MS).unref();
    reserved.set(run, { ready, timer });
    return run;
  }

  async function create(spec: ContainerSpec): Promise<Container> {
    const ready = takeReserved(spec.run);
    // Should its end have arrived already, it is seen now.
    if (ready !== undefined) await setImmediate();
    learn(spec);
    if (ready !== undefined && !ready.isLost() && isSame(ready.spec, spec)) return lend(ready.handOut(), spec);
    // It has the name of the one that is to be made.
    await ready?.destroy();
    try {
      return lend(await engine.create(spec), spec);
    } catch (error) {
      if (toSandboxError(error).code === "NO_IMAGE") images.delete(spec.image.ref);
      throw error;
    }
  }

  function takeReserved(run: string): ReadyContainer | undefined {
    const found = reserved.get(run);
    clearTimeout(found?.timer);
    reserved.delete(run);
    return found?.ready;
  }

  function learn(spec: ContainerSpec): void {
    if (!canBePrepared(spec)) return;
    isSteady = wanted === undefined || isSame(wanted, spec);
    wanted = spec;
    for (const ready of waiting.filter(({ spec: other }) => !isSame(other, spec))) discard(ready);
  }

  /** Counts a container as in use until it is destroyed. */
  function lend(container: Container, spec: ContainerSpec): Container {
    if (!canBePrepared(spec)) return container;
    demand.enter();
    lent += 1;
    refilling ??= setTimeout(adjust, REFILL_MS).unref();
    let isInUse = true;
    const destroy: Container["destroy"] = async () => {
      if (isInUse) demand.leave();
      isInUse = false;
      return container.destroy();
    };
    return Object.defineProperties({ ...container, destroy }, { id: { get: () => container.id } });
  }

  /** Makes or discards, so that as many wait as should. */
  function adjust(): void {
    clearTimeout(refilling);
    refilling = undefined;
    if (closed || wanted === undefined) return;
    const target = Math.min(max, Math.max(1, demand.peak()), Math.max(0, total - lent));
    for (const surplus of waiting.slice(target)) discard(surplus);
    if (!isSteady) return;
    while (waiting.length + reserved.size + making < target) prepare(wanted);
  }

  /** One that can't be made is not tried again before the next `create`. */
  function prepare(spec: ContainerSpec): void {
    making += 1;
    const made = makeReady(engine, { ...spec, run: createRunId() }).then(
      (ready) => {
        making -= 1;
        if (closed || wanted === undefined || !isSame(wanted, spec)) {
          discard(ready);
          return;
        }
        waiting.push(ready);
        void ready.lost.then(() => discard(ready));
      },
      () => {
        making -= 1;
      },
    );
    track(made);
  }

  function discard(ready: ReadyContainer | undefined): void {
    if (ready === undefined) return;
    const at = waiting.indexOf(ready);
    if (at !== -1) waiting.splice(at, 1);
    track(ready.destroy().catch((error: unknown) => void failures.push(toSandboxError(error))));
  }

  function track(promise: Promise<unknown>): void {
    const tracked = promise.finally(() => work.delete(tracked));
    work.add(tracked);
  }

  async function settled(): Promise<number> {
    if (refilling !== undefined) adjust();
    while (work.size > 0) await Promise.all(work);
    return waiting.length;
  }

  const closeEngine = (): void => engine.close();

  async function dispose(): Promise<void> {
    closed = true;
    clearInterval(shrinking);
    clearTimeout(refilling);
    for (const ready of [...waiting]) discard(ready);
    for (const run of [...reserved.keys()]) discard(takeReserved(run));
    while (work.size > 0) await Promise.all(work);
    if (failures[0] !== undefined) throw failures[0];
  }

  return {
    ...engine,
    newRun,
    create,
    settled,
    async findImage(ref) {
      const known = images.get(ref) ?? (await engine.findImage(ref));
      if (known !== undefined) images.set(ref, known);
      return known;
    },
    async pullImage(ref, options) {
      const image = await engine.pullImage(ref, options);
      images.set(ref, image);
      return image;
    },
    close: () => void dispose().then(closeEngine, closeEngine),
    [Symbol.asyncDispose]: dispose,
  };
}

/** A mount is the task's own: a container that waits has nothing of any task inside. */
function canBePrepared({ keep, labels, posture }: ContainerSpec): boolean {
  return !keep && Object.keys(labels).length === 0 && posture.mounts.length === 0;
}

function isSame(one: ContainerSpec, other: ContainerSpec): boolean {
  const { image, posture } = one;
  return (
    canBePrepared(one) &&
    canBePrepared(other) &&
    image.id === other.image.id &&
    image.ref === other.image.ref &&
    isDeepStrictEqual(posture, other.posture)
  );
}
