import { SandboxError, toSandboxError } from "../core/errors.ts";
import type { Task } from "../policy/task.ts";
import type { RunContext } from "../run/context.ts";
import type { RunEvent } from "../run/events.ts";
import { openSandbox, type Sandbox } from "../run/open-sandbox.ts";

/** Whether calls share one sandbox, or each has its own. */
export type Isolation = "session" | "call";

/** Hands out sandboxes to calls. */
export type Sandboxes = {
  /** Runs `work` with the sandbox that the call gets, which is opened if there is none. Throws as `openSandbox` and `work` do. */
  use<T>(caller: Caller, work: (sandbox: Sandbox) => Promise<T>): Promise<T>;
  /** Closes the sandbox of the session, if there is one, and opens another. */
  reset(caller: Caller): Promise<{ readonly opened: string; readonly closed: string | undefined }>;
  /** Ends whatever is open, and everything that comes later. Throws `DESTROY_FAILED` when something of it could not be removed. */
  close(): Promise<void>;
};

/** Who waits for a sandbox. */
export type Caller = { readonly signal: AbortSignal; readonly onEvent: (event: RunEvent) => void };

export type SandboxesOptions = {
  readonly task: Task;
  readonly isolation: Isolation;
  /** Called for each sandbox; that there is no engine yet may be another matter by then. */
  readonly openContext: () => Promise<RunContext>;
  /** Takes sentences for people. */
  readonly log: (sentence: string) => void;
};

export function createSandboxes(options: SandboxesOptions): Sandboxes {
  const opener = createOpener(options);
  return options.isolation === "session" ? oneForAll(opener) : oneForEach(opener);
}

/** Opens sandboxes and knows those that are not gone. */
type Opener = {
  open(signal: AbortSignal | undefined, onEvent: (event: RunEvent) => void): Promise<Sandbox>;
  closeAll(): Promise<void>;
};

function createOpener({ task, openContext, log }: SandboxesOptions): Opener {
  const stop = new AbortController();
  const there = new Set<Sandbox>();
  const opening = new Set<Promise<unknown>>();

  async function open(signal: AbortSignal | undefined, onEvent: (event: RunEvent) => void): Promise<Sandbox> {
    if (stop.signal.aborted) throw new SandboxError("INTERRUPTED", "The server is ending.", "Start it again.");
    const context = await openContext();
    const gentle = signal === undefined ? stop.signal : AbortSignal.any([stop.signal, signal]);
    const forced = context.interrupts?.forced ?? new AbortController().signal;
    const sandbox = await openSandbox(task, { ...context, onEvent, interrupts: { gentle, forced } });
    there.add(sandbox);
    log(`The sandbox ${sandbox.id} is open.`);
    void sandbox.ended.then(({ detail }) => {
      log(`The sandbox ${sandbox.id} has ended: ${detail}`);
      // What still runs in one that has ended, such as one past its egress limit, shall not go on.
      sandbox.close().then(
        () => there.delete(sandbox),
        (error: unknown) => log(toSandboxError(error).message),
      );
    });
    return sandbox;
  }

  return {
    open: (signal, onEvent) => {
      const one = open(signal, onEvent);
      const known = one.catch(() => undefined).finally(() => opening.delete(known));
      opening.add(known);
      return one;
    },
    closeAll: async () => {
      stop.abort("the end of the session");
      await Promise.all(opening);
      await Promise.all([...there].map((sandbox) => sandbox.close()));
    },
  };
}

function oneForAll(opener: Opener): Sandboxes {
  const room = createWaitingRoom();
  let current: Promise<Sandbox> | undefined;

  /** Makes `next` the session's sandbox; one that can't be opened is tried again by the next call. */
  function become(next: Promise<Sandbox>): Promise<Sandbox> {
    current = next;
    next.catch(() => {
      if (current === next) current = undefined;
    });
    return next;
  }

  function openOne(): Promise<Sandbox> {
    return opener.open(undefined, room.tell);
  }

  async function replace(before: Sandbox | undefined): Promise<Sandbox> {
    await before?.close();
    return openOne();
  }

  return {
    use: async (caller, work) => {
      const sandbox = await room.wait(caller, () => current ?? become(openOne()));
      try {
        return await work(sandbox);
      } catch (error) {
        throw withWayOut(toSandboxError(error));
      }
    },
    reset: (caller) =>
      room.wait(caller, async () => {
        const was = current;
        const before = await was?.catch(() => undefined);
        // Another reset may have been faster: its sandbox is as fresh as one can be.
        const faster = current === was ? undefined : current;
        const next = await (faster ?? become(replace(before)));
        return { opened: next.id, closed: before?.id };
      }),
    close: () => opener.closeAll(),
  };
}

/** Those who wait for one sandbox: each of them is told how it is opened, whoever asked first. */
function createWaitingRoom() {
  const waiting = new Set<(event: RunEvent) => void>();
  return {
    tell: (event: RunEvent): void => {
      for (const onEvent of waiting) onEvent(event);
    },
    wait: async <T>({ onEvent }: Caller, work: () => Promise<T>): Promise<T> => {
      waiting.add(onEvent);
      try {
        return await work();
      } finally {
        waiting.delete(onEvent);
      }
    },
  };
}

function withWayOut(error: SandboxError): SandboxError {
  if (error.code !== "SANDBOX_ENDED") return error;
  const hint = "Call reset for a fresh sandbox; the files of this one are gone.";
  return new SandboxError(error.code, error.message, hint, { cause: error });
}

/** So many sandboxes at once have the calls of a session with one for each; the others wait. */
const MOST_AT_ONCE = 4;

function oneForEach(opener: Opener): Sandboxes {
  const queue: (() => void)[] = [];
  let free = MOST_AT_ONCE;

  async function withPlace<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    if (free > 0) free -= 1;
    else await new Promise<void>((resolve) => queue.push(resolve));
    try {
      signal.throwIfAborted();
      return await work();
    } finally {
      const next = queue.shift();
      if (next === undefined) free += 1;
      else next();
    }
  }

  return {
    use: (caller, work) =>
      withPlace(caller.signal, async () => {
        const sandbox = await opener.open(caller.signal, caller.onEvent);
        try {
          return await work(sandbox);
        } finally {
          await sandbox.close();
        }
      }),
    reset: (caller) =>
      withPlace(caller.signal, async () => {
        const sandbox = await opener.open(caller.signal, caller.onEvent);
        await sandbox.close();
        return { opened: sandbox.id, closed: sandbox.id };
      }),
    close: () => opener.closeAll(),
  };
}
