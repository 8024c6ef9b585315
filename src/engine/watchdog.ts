import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { Socket } from "node:net";
import type { Endpoint } from "./endpoint.ts";

/**
 * Cleans up behind this process if it is killed while a container exists that nothing else would end. Disposing of it leaves what is
 * still armed, such as a container whose creation was never confirmed, to the watchdog.
 */
export type Watchdog = AsyncDisposable & {
  /**
   * From now on the container `name`, or the directory of unfinished results at the absolute path `name`, is removed when this process ends
   * without `disarm` or `release`.
   */
  arm(name: string): void;
  /** It is gone. The watchdog's process hears so along with the next name: to remove what is gone does nothing. */
  disarm(name: string): void;
  /** It shall stay. */
  release(name: string): void;
};

export type WatchdogOptions = {
  readonly endpoint: Endpoint;
  /** The built `watchdog-process.ts`. */
  readonly script: string;
  /** The environment of `ssh`. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** A process of `bootWatchdog` that waits for its first orders. */
  readonly booted?: ChildProcess | undefined;
};

/** Starts the process of a watchdog ahead of need, so that it boots while this one still loads its own code. Without orders it ends with us. */
export function bootWatchdog(script: string): ChildProcess {
  const child: ChildProcess = spawn(process.execPath, [script], {
    cwd: "/",
    detached: true,
    env: {},
    stdio: ["pipe", "ignore", "ignore"],
  });
  child.unref();
  child.on("error", () => undefined);
  // A process that has no descriptor left gets a child without a pipe, and then the error.
  child.stdin?.on("error", () => undefined);
  if (child.stdin instanceof Socket) child.stdin.unref();
  return child;
}

/** How long a watchdog with nothing to watch is kept, in milliseconds. */
const IDLE = 1_000;
/** A process that ends as soon as it is started is not a watchdog: its script is missing or broken. */
const MOST_STARTS = 3;

/**
 * Prepares a watchdog: a process in a session of its own that holds the other end of a pipe and learns from its end that this process
 * is gone. It is started by the first `arm` and sent away soon after the last `disarm`.
 */
export function createWatchdog(options: WatchdogOptions): Watchdog {
  const armed = new Set<string>();
  let booted = options.booted?.exitCode === null ? options.booted : undefined;
  let child: ChildProcess | undefined;
  let idle: NodeJS.Timeout | undefined;
  let starts = 0;
  /** What is gone and the watchdog was not told of yet, as lines. */
  const untold: string[] = [];

  function tell(line: string): void {
    child?.stdin?.write(`${[...untold.splice(0), line].join("\n")}\n`);
  }

  function start(): void {
    const started = booted ?? bootWatchdog(options.script);
    booted = undefined;
    starts += 1;
    child = started;
    started.once("error", () => forget(started));
    started.once("exit", () => {
      const lost = child === started && armed.size > 0;
      forget(started);
      if (lost && starts < MOST_STARTS) start();
    });
    untold.length = 0;
    tell(JSON.stringify({ endpoint: options.endpoint, env: options.endpoint.kind === "ssh" ? options.env : {} }));
    for (const name of armed) tell(`+${name}`);
  }

  function forget(ended: ChildProcess): void {
    if (child === ended) child = undefined;
  }

  /** Only this side knows that nothing is to be watched: a process that left by itself could miss the next name. */
  function retire(): void {
    child?.stdin?.end("!\n");
    child = undefined;
  }

  function rest(): void {
    clearTimeout(idle);
    if (armed.size === 0) idle = setTimeout(retire, IDLE).unref();
  }

  return {
    arm(name) {
      clearTimeout(idle);
      armed.add(name);
      if (child === undefined) start();
      else tell(`+${name}`);
    },
    disarm(name) {
      if (armed.delete(name)) untold.push(`-${name}`);
      rest();
    },
    release(name) {
      if (armed.delete(name)) tell(`-${name}`);
      rest();
    },
    async [Symbol.asyncDispose]() {
      clearTimeout(idle);
      const ending = child ?? booted;
      child = undefined;
      if (ending === undefined) return;
      ending.stdin?.end(armed.size === 0 ? "!\n" : untold.map((line) => `${line}\n`).join(""));
      if (armed.size > 0) return;
      await once(ending, "exit");
    },
  };
}
