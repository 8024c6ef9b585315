import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { onTestFinished } from "vitest";
import { engineSocket } from "./engine-api.ts";

const SANDBOX = fileURLToPath(new URL("../../bin/sandbox.js", import.meta.url));
const LIBRARY = new URL("../../dist/index.js", import.meta.url).href;
const BUILT = fileURLToPath(new URL("../../dist/cli.js", import.meta.url));

export type CliOptions = {
  /** What it reads from standard input, which ends after it. */
  readonly input?: string | Buffer;
  /** Added to the environment of the tests; `undefined` takes a variable away. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly cwd?: string;
  /** A command that runs it, such as `nsenter` and its arguments. */
  readonly within?: readonly string[];
};

export type CliResult = {
  /** Exit status, or `undefined` when a signal ended it. */
  readonly status: number | undefined;
  readonly signal: NodeJS.Signals | undefined;
  readonly stdout: string;
  readonly stderr: string;
  /** Standard output as it came. */
  readonly bytes: Buffer;
};

export type RunningCli = {
  readonly child: ChildProcessWithoutNullStreams;
  readonly pid: number;
  readonly done: Promise<CliResult>;
  /** Settles once standard output, or standard error, holds `text`; rejects when the process ends without it. */
  waitFor(text: string): Promise<void>;
};

/** Runs the built command line to its end. */
export async function runCli(args: readonly string[], options: CliOptions = {}): Promise<CliResult> {
  const cli = startCli(args, options);
  cli.child.stdin.end(options.input ?? "");
  return cli.done;
}

/** Starts the built command line with an open standard input; it is killed when the test ends first. */
export function startCli(args: readonly string[], options: CliOptions = {}): RunningCli {
  return startNode(["--", SANDBOX, ...args], options);
}

/** Starts a program that uses the library: a module's text, in which `belljar` is the built package. */
export function startProgram(text: string, options: CliOptions = {}): RunningCli {
  return startNode(["--input-type=module", "--eval", text.replaceAll('"belljar"', JSON.stringify(LIBRARY))], options);
}

function startNode(args: readonly string[], options: CliOptions): RunningCli {
  if (!existsSync(BUILT)) throw new Error("The product is not built. Run `npm run build`, or `npm test`, which does it by itself.");
  const env = { ...process.env, DOCKER_HOST: `unix://${engineSocket()}`, ...options.env };
  const [program = "", ...words] = [...(options.within ?? []), process.execPath, ...args];
  const child = spawn(program, words, { env, ...(options.cwd === undefined ? {} : { cwd: options.cwd }) });
  child.stdin.on("error", () => undefined);
  const stdout: Buffer[] = [];
  const stderr: Buffer[] = [];
  child.stdout.on("data", (piece: Buffer) => stdout.push(piece));
  child.stderr.on("data", (piece: Buffer) => stderr.push(piece));
  const done = new Promise<CliResult>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (status, signal) => {
      const bytes = Buffer.concat(stdout);
      const said = Buffer.concat(stderr).toString("utf8");
      resolve({ status: status ?? undefined, signal: signal ?? undefined, stdout: bytes.toString("utf8"), stderr: said, bytes });
    });
  });
  onTestFinished(async () => {
    if (child.exitCode === null && child.signalCode === null) child.kill("SIGKILL");
    await done;
  });
  return {
    child,
    pid: child.pid ?? 0,
    done,
    waitFor: (text) => waitFor({ child, done, holds: () => holds([stdout, stderr], text) }, text),
  };
}

type Waiting = { readonly child: ChildProcessWithoutNullStreams; readonly done: Promise<CliResult>; readonly holds: () => boolean };

async function waitFor({ child, done, holds: isThere }: Waiting, text: string): Promise<void> {
  if (isThere()) return;
  const seen = new Promise<void>((resolve) => {
    const look = (): void => {
      if (!isThere()) return;
      child.stdout.off("data", look);
      child.stderr.off("data", look);
      resolve();
    };
    child.stdout.on("data", look);
    child.stderr.on("data", look);
  });
  const ended = done.then(({ status, stderr }) => {
    if (!isThere()) throw new Error(`It ended with status ${String(status)} before it said ${JSON.stringify(text)}: ${stderr}`);
  });
  await Promise.race([seen, ended]);
}

function holds(outputs: readonly (readonly Buffer[])[], text: string): boolean {
  return outputs.some((pieces) => Buffer.concat(pieces).includes(text));
}
