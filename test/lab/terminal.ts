import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { engineSocket } from "./engine-api.ts";
import { TEST_IMAGES } from "./images.ts";

const TERMINAL = fileURLToPath(new URL("terminal.py", import.meta.url));
const SANDBOX = fileURLToPath(new URL("../../bin/sandbox.js", import.meta.url));

type Step = { readonly wait: string } | { readonly type: string } | { readonly resize: readonly [rows: number, columns: number] };

/** Runs `sandbox run` in busybox in a real terminal of 30 rows and 100 columns; gives what the terminal was sent. */
export function inTerminal(
  args: readonly string[],
  steps: readonly Step[] = [],
): Promise<{ readonly status: number; readonly shown: string }> {
  const command = [TERMINAL, JSON.stringify(steps), process.execPath, SANDBOX, "run", "--image", TEST_IMAGES.busybox, ...args];
  const env = { ...process.env, DOCKER_HOST: `unix://${engineSocket()}`, TERM: "xterm" };
  return new Promise((resolve) => {
    const child = execFile("python3", command, { env, encoding: "latin1" }, (_error, stdout, stderr) => {
      resolve({ status: child.exitCode ?? -1, shown: stdout + stderr });
    });
  });
}
