import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFile, truncate, writeFile } from "node:fs/promises";
import { text } from "node:stream/consumers";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { RunResult } from "../../src/run/result.ts";
import { type RunningCli, startCli } from "../lab/cli.ts";
import { engineSocket } from "../lab/engine-api.ts";
import { openFakeEngine } from "../lab/fake-engine.ts";
import { TEST_IMAGES } from "../lab/images.ts";
import { type TempDirectory, tempDirectory } from "../lab/temp-directory.ts";
import { containersOfOwner, leftAfter, openRunPlace, strayFiles } from "../lab/traces.ts";

/*
 * Jumps of the clock are not tried here: the kernel has one real-time clock for all processes and containers of a machine. A deadline does not
 * depend on it: `setTimeout` and `performance.now()`, which measure the command's time, run on the monotonic clock.
 */

const SANDBOX = fileURLToPath(new URL("../../bin/sandbox.js", import.meta.url));
const BOUND = 2_000;
const CREATE = /^POST \/containers\/create$/;

let workspace: TempDirectory;
beforeAll(async () => {
  workspace = await tempDirectory();
  await writeFile(workspace.join("large"), "");
  await truncate(workspace.join("large"), 24 * 1024 * 1024);
});
afterAll(() => workspace[Symbol.asyncDispose]());

/** A run with a large workspace and a large artifact, whose command lasts as long as it is told to. */
function startRun(place: TempDirectory, { seconds, host }: { readonly seconds: number; readonly host?: string }): RunningCli {
  const files = ["--workspace", workspace.path, "--artifact", "*", "--out", place.join("results", "out")];
  const env = { TMPDIR: place.join("tmp"), ...(host === undefined ? {} : { DOCKER_HOST: host }) };
  const cli = startCli(["run", "--events", "--image", TEST_IMAGES.busybox, ...files, "--", "sleep", String(seconds)], { env });
  cli.child.stdin.end();
  return cli;
}

/** Status and reason of a run, and what is left of it. */
async function outcome(cli: RunningCli, place: TempDirectory) {
  const { status, signal, stdout } = await cli.done;
  const last = JSON.parse(stdout.trim().split("\n").at(-1) ?? "") as { readonly result?: RunResult };
  const left = await leftAfter(BOUND, async () => [...(await containersOfOwner(cli.pid)), ...(await strayFiles(place))]);
  // A second SIGINT that comes after the end means what it always does, and a shell says 130 for that as well.
  return { status: signal === "SIGINT" ? 130 : status, reason: last.result?.reason, left };
}

const INTERRUPTED = { status: 130, reason: "interrupted", left: [] };

/** The signals that ask a run to end, and the ways to insist. */
const SIGNALS: readonly (readonly NodeJS.Signals[])[] = [["SIGINT"], ["SIGTERM"], ["SIGHUP"], ["SIGINT", "SIGINT"], ["SIGTERM", "SIGINT"]];

/** Two signals of one kind that come at once are one to the kernel, and nothing tells that the first was taken. */
const APART = 50;

async function send(cli: RunningCli, signals: readonly NodeJS.Signals[]): Promise<void> {
  for (const signal of signals) {
    cli.child.kill(signal);
    await pause(signals.length > 1 ? APART : 0);
  }
}

describe.each(SIGNALS.map((signals) => ({ signals })))("a run that gets $signals", ({ signals }) => {
  it("while the engine makes its container ends as interrupted", async () => {
    await using place = await openRunPlace();
    await using engine = await openFakeEngine();
    const hold = engine.holdAnswer(CREATE);
    const cli = startRun(place, { seconds: 1000, host: engine.host });
    await hold.reached;
    await send(cli, signals);
    hold.letGo();
    expect(await outcome(cli, place)).toEqual(INTERRUPTED);
  });

  it.each([
    ["copies its workspace in", "sandbox.started", 1000],
    ["runs its command", "exec.started", 1000],
    ["collects its artifacts", "exec.exited", 0],
  ])("while it %s ends as interrupted", async (_phase, event, seconds) => {
    await using place = await openRunPlace();
    const cli = startRun(place, { seconds });
    await cli.waitFor(`"type":"${event}"`);
    await send(cli, signals);
    expect(await outcome(cli, place)).toEqual(INTERRUPTED);
  });
});

describe("a caller who insists", () => {
  it("does not wait for an engine that hangs", async () => {
    await using place = await openRunPlace();
    await using engine = await openFakeEngine();
    const hold = engine.holdAnswer(CREATE);
    const cli = startRun(place, { seconds: 1000, host: engine.host });
    await hold.reached;
    const from = performance.now();
    await send(cli, ["SIGINT", "SIGINT"]);
    expect(await outcome(cli, place)).toEqual(INTERRUPTED);
    expect(performance.now() - from).toBeLessThan(BOUND + 1000);
  });
});

/** Runs the command line from a shell that does something to it, and answers what came out and what is left of it. */
async function fromShell(script: string, args: readonly string[]) {
  await using place = await tempDirectory();
  const env = { ...process.env, DOCKER_HOST: `unix://${engineSocket()}`, OWNER: place.join("owner") };
  const words = [process.execPath, SANDBOX, "run", "--image", TEST_IMAGES.busybox, ...args];
  const program = `sandbox() { echo $BASHPID > "$OWNER"; exec "$@"; }; export -f sandbox; ${script}`;
  const shell = spawn("bash", ["-c", program, "bash", ...words], { env, stdio: ["ignore", "pipe", "pipe"] });
  const closed = once(shell, "close") as Promise<[number]>;
  const [stdout, stderr, [status]] = await Promise.all([text(shell.stdout), text(shell.stderr), closed]);
  const owner = Number(await readFile(place.join("owner"), "utf8"));
  const left = await leftAfter(BOUND, () => containersOfOwner(owner));
  return { status, stdout, stderr, left };
}

describe("a reader that leaves", () => {
  it("ends a command as in any pipeline: its writer gets SIGPIPE", async () => {
    const { status, stdout, left } = await fromShell('(sandbox "$@") | head -1; exit ${PIPESTATUS[0]}', ["--", "yes"]);
    expect({ status, stdout, left }).toEqual({ status: 141, stdout: "y\n", left: [] });
  });

  it("leaves a command that writes nothing alone", async () => {
    const { status, left } = await fromShell('(sandbox "$@") | true; exit ${PIPESTATUS[0]}', ["--", "sh", "-c", "sleep 1; exit 7"]);
    expect({ status, left }).toEqual({ status: 7, left: [] });
  });

  it("of events ends the command too, without a word on standard error", async () => {
    const loop = ["--events", "--", "sh", "-c", "while echo x; do sleep 0.1; done"];
    const { status, stderr, left } = await fromShell('(sandbox "$@") | head -1; exit ${PIPESTATUS[0]}', loop);
    expect({ status, stderr, left }).toEqual({ status: 141, stderr: "", left: [] });
  });
});

describe("a full disk", () => {
  it.each([
    ["the output", []],
    ["events", ["--events"]],
    ["the result", ["--json"]],
  ])("where %s should go is said in one sentence, and ends the run", async (_what, flags) => {
    const { status, stderr, left } = await fromShell('sandbox "$@" > /dev/full', [...flags, "--", "echo", "x"]);
    expect({ status, left }).toEqual({ status: 125, left: [] });
    expect(stderr).toMatch(/^sandbox: .*ENOSPC.*\n.*\(OUTPUT_BROKEN\)\n$/);
  });

  it("where the artifacts should go is said, and leaves no part of them", async () => {
    await using place = await tempDirectory();
    const full = place.join("full");
    const script = `mkdir ${full} && mount -t tmpfs -o size=1m none ${full} && cd ${full} && { (sandbox "$@"); status=$?; ls -A >&2; exit $status; }`;
    const args = ["--artifact", "*", "--out", `${full}/out`, "--", "sh", "-c", "dd if=/dev/zero of=large bs=1M count=8 2>/dev/null"];
    const { status, stderr, left } = await fromShell(`unshare --mount bash -c '${script}' bash "$@"`, args);
    expect({ status, left }).toEqual({ status: 125, left: [] });
    expect(stderr).toMatch(/^sandbox: failed: .*ENOSPC.*\n.*\(COLLECT_FAILED\)\n$/);
  });
});

describe("a process without descriptors", () => {
  /** Below some of these Node.js itself cannot load the program; above it, each step of a run is the one that finds none left. */
  it("leaves nothing, whichever step finds none left", async () => {
    const counts = Array.from({ length: 14 }, (_unused, index) => 17 + index);
    const outcomes: Awaited<ReturnType<typeof fromShell>>[] = [];
    for (const count of counts) outcomes.push(await fromShell(`ulimit -n ${count}; sandbox "$@"`, ["--", "echo", "in"]));
    expect(outcomes.flatMap(({ left }) => left)).toEqual([]);
    expect(outcomes.filter(({ status, stderr }) => status > 1 && !/^sandbox: .*\n.*\n$/.test(stderr))).toEqual([]);
    expect(outcomes.at(0)?.status).not.toBe(0);
    expect(outcomes.at(-1)).toMatchObject({ status: 0, stdout: "in\n" });
  });
});
