import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { engineSocket } from "./engine-api.ts";
import { TEST_IMAGES } from "./images.ts";

const TERMINAL = fileURLToPath(new URL("terminal.py", import.meta.url));
const SANDBOX = fileURLToPath(new URL("../../bin/sandbox.js", import.meta.url));

export type Step = { readonly wait: string } | { readonly type: string } | { readonly resize: readonly [rows: number, columns: number] };
/** What the terminal was sent, and the exit status. */
export type Session = { readonly status: number; readonly shown: string };

export type TerminalOptions = {
  readonly steps?: readonly Step[];
  readonly rows?: number;
  readonly columns?: number;
  /** Added to the environment of the tests, but for `CI`. */
  readonly env?: Readonly<Record<string, string>>;
};

/** Runs `sandbox run` in busybox in a real terminal of 30 rows and 100 columns; gives what the terminal was sent. */
export function inTerminal(args: readonly string[], steps: readonly Step[] = []): Promise<Session> {
  return sandboxInTerminal(["run", "--image", TEST_IMAGES.busybox, ...args], { steps });
}

/** Runs the command line in a real terminal; bytes are told as characters of Latin-1. */
export function sandboxInTerminal(
  args: readonly string[],
  { steps = [], rows = 30, columns = 100, env }: TerminalOptions = {},
): Promise<Session> {
  const command = [TERMINAL, JSON.stringify([rows, columns]), JSON.stringify(steps), process.execPath, SANDBOX, ...args];
  const { CI: _, NO_COLOR: _colour, ...rest } = process.env;
  const surrounding = { ...rest, DOCKER_HOST: `unix://${engineSocket()}`, TERM: "xterm", ...env };
  return new Promise((resolve) => {
    const child = execFile("python3", command, { env: surrounding, encoding: "latin1" }, (_error, stdout, stderr) => {
      resolve({ status: child.exitCode ?? -1, shown: stdout + stderr });
    });
  });
}
