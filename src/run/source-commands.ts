import { type ChildProcessByStdio, spawn } from "node:child_process";
import type { Readable } from "node:stream";

export type SourceCommands = Disposable & {
  /** What a command prints, in UTF-8. Rejects when it fails, takes too long or prints too much; with nothing of what it printed. */
  run(command: string): Promise<string>;
};

type Shell = ChildProcessByStdio<null, Readable, null>;

const LIMIT_MS = 60_000;
const LARGEST_OUTPUT = 64 * 1024;

/**
 * Runs the commands that print secrets: by a shell, in the caller's environment and directory, without input and without a terminal. Each has a process
 * group of its own, which is killed with everything in it when the shell ends, after `limitMs`, or when this is disposed of.
 */
export function createSourceCommands(limitMs = LIMIT_MS): SourceCommands {
  const running = new Set<(why: string) => void>();

  async function run(command: string): Promise<string> {
    const shell = spawn("/bin/sh", ["-c", command], { detached: true, stdio: ["ignore", "pipe", "ignore"] });
    let cancel: (why: string) => void = () => undefined;
    const cancelled = new Promise<never>((_resolve, reject) => {
      cancel = (why) => reject(new Error(why));
    });
    const late = setTimeout(cancel, limitMs, "It takes too long.");
    running.add(cancel);
    try {
      return await Promise.race([outputOf(shell), cancelled]);
    } finally {
      clearTimeout(late);
      running.delete(cancel);
      killGroup(shell);
      shell.stdout.destroy();
    }
  }

  return {
    run,
    [Symbol.dispose]: () => {
      for (const cancel of running) cancel("The run is over.");
    },
  };
}

/** All that it prints, once the shell has ended with 0; what it left behind would keep the pipe open, and is killed first. */
function outputOf(shell: Shell): Promise<string> {
  return new Promise((resolve, reject) => {
    const pieces: Buffer[] = [];
    let bytes = 0;
    shell.stdout.on("data", (piece: Buffer) => {
      pieces.push(piece);
      bytes += piece.length;
      if (bytes > LARGEST_OUTPUT) reject(new Error("It prints too much."));
    });
    shell.once("error", reject).once("exit", () => killGroup(shell));
    shell.once("close", (status) => {
      if (status === 0) resolve(Buffer.concat(pieces).toString("utf8"));
      else reject(new Error("It fails."));
    });
  });
}

function killGroup({ pid }: Shell): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, "SIGKILL");
  } catch {
    // Nothing of it is left.
  }
}
