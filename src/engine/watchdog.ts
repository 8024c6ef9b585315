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
   * without `disarm`.
   */
  arm(name: string): void;
  disarm(name: string): void;
};

export type WatchdogOptions = {
  readonly endpoint: Endpoint;
  /** The built `watchdog-process.ts`. */
  readonly script: string;
  /** The environment of `ssh`. */
  readonly env: Readonly<Record<string, string | undefined>>;
};

/**
 * Prepares a watchdog: a process in a session of its own that holds the other end of a pipe and learns from its end that this process
 * is gone. It is started by the first `arm` and ends by itself soon after the last `disarm`.
 */
export function createWatchdog(options: WatchdogOptions): Watchdog {
  const armed = new Set<string>();
  let child: ChildProcess | undefined;

  function tell(line: string): void {
    child?.stdin?.write(`${line}\n`);
  }

  function start(): void {
    const started: ChildProcess = spawn(process.execPath, [options.script], {
      cwd: "/",
      detached: true,
      env: {},
      stdio: ["pipe", "ignore", "ignore"],
    });
    child = started;
    started.once("error", () => forget(started));
    started.unref();
    // A process that has no descriptor left gets a child without a pipe, and then the error.
    started.stdin?.on("error", () => undefined);
    if (started.stdin instanceof Socket) started.stdin.unref();
    started.once("exit", () => {
      const lost = child === started && armed.size > 0;
      forget(started);
      if (lost) start();
    });
    tell(JSON.stringify({ endpoint: options.endpoint, env: options.endpoint.kind === "ssh" ? options.env : {} }));
    for (const name of armed) tell(`+${name}`);
  }

  function forget(ended: ChildProcess): void {
    if (child === ended) child = undefined;
  }

  return {
    arm(name) {
      armed.add(name);
      if (child === undefined) start();
      else tell(`+${name}`);
    },
    disarm(name) {
      if (armed.delete(name)) tell(`-${name}`);
    },
    async [Symbol.asyncDispose]() {
      const ending = child;
      child = undefined;
      if (ending === undefined) return;
      ending.stdin?.end(armed.size === 0 ? "!\n" : "");
      if (armed.size > 0) return;
      await once(ending, "exit");
    },
  };
}
