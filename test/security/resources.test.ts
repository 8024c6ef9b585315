import { chmod, readFile, truncate, writeFile } from "node:fs/promises";
import { cpus } from "node:os";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createRunId } from "../../src/core/ids.ts";
import type { RunResult } from "../../src/run/result.ts";
import { type RunningCli, startCli } from "../lab/cli.ts";
import { containersOfRun } from "../lab/engine-api.ts";
import { TEST_IMAGES } from "../lab/images.ts";
import { openProbes } from "../lab/probes.ts";
import { type JsonRun, runJson } from "../lab/run-json.ts";
import { type TempDirectory, tempDirectory } from "../lab/temp-directory.ts";
import { processesWith } from "../lab/traces.ts";
import { runUnconfined } from "../lab/unconfined.ts";

/** Small enough that each limit is reached within a second. */
const SMALL = ["--memory", "64m", "--disk", "16m", "--tmp-size", "8m", "--pids-limit", "64", "--timeout", "20s"];
const PIDS = 64;
const MEBIBYTE = 1024 * 1024;
/** A starved run would take many times longer; less than this says nothing on a busy machine. */
const TIMING_NOISE_MS = 2_000;

let probes: TempDirectory;
beforeAll(async () => {
  probes = await openProbes("exhaust");
});
afterAll(() => probes[Symbol.asyncDispose]());

/**
 * Runs a command that does its worst, and sees that nothing of it is left on the engine or on this machine. The directory of the probes has
 * a name of its own in each run, by which the processes are known from outside.
 */
async function attack(flags: readonly string[], command: readonly string[]): Promise<JsonRun> {
  const place = `/probe-${createRunId()}`;
  const words = command.map((word) => word.replaceAll("/probe", place));
  const done = await runJson([...SMALL, "--mount", `${probes.path}:${place}`, ...flags, "--", ...words]);
  expect(done.result.destroyed).toBe(true);
  expect(await containersOfRun(done.result.run)).toEqual([]);
  expect(await processesWith(place)).toEqual([]);
  return done;
}

function exhaust(what: string, ...numbers: readonly number[]): readonly string[] {
  return ["/probe/exhaust", what, ...numbers.map(String)];
}

/** How many the program got before it was refused. */
function got({ result }: JsonRun): number {
  return Number(/ (\d+): /.exec(result.stderr.text ?? "")?.[1]);
}

function hits({ limits }: RunResult): readonly string[] {
  return Object.entries(limits)
    .filter(([name, { hit }]) => hit && name !== "cpu")
    .map(([name]) => name);
}

describe("processes", () => {
  it("ends a fork bomb at its time, and says that the limit of processes was reached", async () => {
    const { status, result } = await attack(["--memory", "256m", "--timeout", "1500ms"], exhaust("forks"));
    expect({ status, reason: result.reason, hits: hits(result) }).toEqual({ status: 124, reason: "timeout", hits: ["pids", "time"] });
    expect(result.limits.pids.peak).toBe(PIDS);
  });

  it("ends a fork bomb whose first process has gone when that one ends", async () => {
    const { result } = await attack(
      ["--memory", "256m"],
      ["sh", "-c", "/probe/exhaust forks & until [ -e /tmp/refused ]; do :; done; exit 3"],
    );
    expect({ reason: result.reason, code: result.exit.code, hits: hits(result) }).toEqual({ reason: "completed", code: 3, hits: ["pids"] });
  });

  it("holds threads and processes that nobody reaps to the limit, which an unconfined container does not", async () => {
    const held = { threads: await attack([], exhaust("threads", 400)), zombies: await attack([], exhaust("zombies", 400)) };
    for (const done of Object.values(held)) {
      expect({ status: done.status, hits: hits(done.result) }).toEqual({ status: 0, hits: ["pids"] });
      expect(got(done)).toBeLessThan(PIDS);
    }
    const free = await runUnconfined({ probes: probes.path, command: ["sh", "-c", "/probe/exhaust threads 400 2>&1"] });
    expect(free).toContain("threads 400: enough");
  });

  it("reaps what a command leaves to process 1", async () => {
    const { status, result } = await attack([], exhaust("orphans", 1000));
    expect({ status, hits: hits(result), said: result.stderr.text }).toEqual({ status: 0, hits: [], said: "orphans 1000: enough\n" });
  });

  it("ends daemons with the command that started them, though they hold its output", async () => {
    const { status, result } = await attack([], exhaust("daemons", 20));
    expect({ status, reason: result.reason }).toEqual({ status: 0, reason: "completed" });
    expect(result.limits.pids.peak).toBeGreaterThanOrEqual(20);
  });

  it("ends a command that ignores every signal that it can", async () => {
    const deaf = ["sh", "-c", 'trap "" TERM INT HUP QUIT USR1; while :; do sleep 1; done'];
    const { status, result } = await attack(["--timeout", "500ms", "--kill-after", "300ms"], deaf);
    expect({ status, reason: result.reason, signal: result.exit.signal, hits: hits(result) }).toEqual({
      status: 124,
      reason: "timeout",
      signal: "SIGKILL",
      hits: ["time"],
    });
  });
});

describe("memory", () => {
  it.each(["anonymous", "memfd"])("is why a command ended that takes %s memory without end", async (kind) => {
    const { status, result } = await attack([], exhaust(kind));
    expect({ status, reason: result.reason, hits: hits(result) }).toEqual({ status: 137, reason: "oom", hits: ["memory"] });
    expect(result.limits.memory.peak).toBeLessThanOrEqual(64 * MEBIBYTE);
  });

  it("is had without end by an unconfined container", async () => {
    const command = ["sh", "-c", "/probe/exhaust anonymous 200 2>&1; /probe/exhaust memfd 200 2>&1"] as const;
    const said = await runUnconfined({ probes: probes.path, command });
    expect(said).toBe("anonymous 200: enough\nmemfd 200: enough\n");
  });

  it("pays for what lies in the writable places", async () => {
    const fill = "dd if=/dev/zero of=/workspace/a bs=1M count=15; exec /probe/exhaust anonymous";
    const beside = await attack([], ["sh", "-c", "exec /probe/exhaust anonymous 44"]);
    const { result } = await attack([], ["sh", "-c", `${fill} 50`]);
    expect([beside.result.reason, result.reason]).toEqual(["completed", "oom"]);
  });

  it("is not run out of by a file that is larger than it and only read", async () => {
    await using directory = await tempDirectory();
    await chmod(directory.path, 0o755);
    await writeFile(directory.join("large"), "");
    await truncate(directory.join("large"), 512 * MEBIBYTE);
    const { status, result } = await attack(["--mount", `${directory.path}:/data`], ["sh", "-c", "cat /data/large | wc -c"]);
    expect({ status, text: result.stdout.text, hits: hits(result) }).toEqual({ status: 0, text: `${512 * MEBIBYTE}\n`, hits: [] });
    expect(result.limits.memory.peak).toBeGreaterThan(32 * MEBIBYTE);
  });
});

describe("disk", () => {
  it.each(["/workspace", "/tmp", "/dev/shm"])("is full at the limit of %s", async (place) => {
    const fill = `cd ${place} && { for i in 1 2 3 4 5; do dd if=/dev/zero of=f$i bs=1M count=7 || exit 9; done; }`;
    const { result } = await attack([], ["sh", "-c", fill]);
    expect({ reason: result.reason, code: result.exit.code, hits: hits(result) }).toEqual({ reason: "completed", code: 9, hits: ["disk"] });
    expect(result.stderr.text).toContain("No space left on device");
  });

  it.each([
    ["files", "empty files"],
    ["directories", "one directory in another"],
  ])("is full of inodes as well: %s", async (what) => {
    const done = await attack([], exhaust(what, 100_000));
    expect({ status: done.status, hits: hits(done.result) }).toEqual({ status: 0, hits: ["disk"] });
    expect(got(done)).toBeLessThan(5000);
  });

  it("gives a tree of thousands of levels back as a refusal, not as files", async () => {
    await using directory = await tempDirectory();
    const { status, result } = await attack(["--artifact", "**", "--out", directory.join("out")], exhaust("directories", 3000));
    expect({ status, artifacts: result.artifacts }).toEqual({ status: 0, artifacts: [] });
    expect(result.refused.length).toBeGreaterThan(0);
  });
});

describe("descriptors, pipes and terminals", () => {
  /** Starts a command that takes all it can get, and waits until it was refused more. */
  async function holding(what: string): Promise<RunningCli> {
    const flags = ["--image", TEST_IMAGES.busybox, ...SMALL, "--memory", "256m", "--mount", `${probes.path}:/probe`, "--timeout", "60s"];
    const bomb = startCli(["run", ...flags, "--", ...exhaust(what, 100_000, 60)]);
    await bomb.waitFor(`${what} `);
    return bomb;
  }

  async function letGo(bomb: RunningCli): Promise<number> {
    bomb.child.kill("SIGTERM");
    return Number(/ (\d+): /.exec((await bomb.done).stderr)?.[1]);
  }

  it.each(["descriptors", "pipes"])("run out within one sandbox, and others have their own: %s", async (what) => {
    const bomb = await holding(what);
    const others = await Promise.all([runJson(["--", "sh", "-c", "exec 3</dev/null; echo a | cat"]), runJson(["--tty", "--", "tty"])]);
    expect(await letGo(bomb)).toBeLessThan(4096);
    expect(others.map(({ status }) => status)).toEqual([0, 0]);
  });

  /** The kernel counts the terminals of all containers together (`kernel.pty.max`), and keeps some back for the host alone. */
  it("are the machine's own in one case: a run that wants a terminal says why it has none, and one that wants none has no trouble", async () => {
    const bomb = await holding("terminals");
    const [plain, wanting] = await Promise.all([runJson(["--", "true"]), runJson(["--tty", "--", "tty"])]);
    const held = await letGo(bomb);
    expect(held).toBeLessThan(Number(await readFile("/proc/sys/kernel/pty/max", "utf8")));
    expect({ plain: plain.status, wanting: wanting.status, error: wanting.result.error?.code }).toEqual({
      plain: 0,
      wanting: 125,
      error: "START_FAILED",
    });
    expect((await runJson(["--tty", "--", "tty"])).status).toBe(0);
  });
});

describe("CPU", () => {
  it("is held to its quota, and a command that spins ends at its time", async () => {
    const spin = ["sh", "-c", "/probe/exhaust spin & exec /probe/exhaust spin"];
    const { status, result } = await attack(["--cpus", "0.2", "--timeout", "2s"], spin);
    expect({ status, reason: result.reason, hits: hits(result) }).toEqual({ status: 124, reason: "timeout", hits: ["time"] });
    expect(result.limits.cpu.hit).toBe(true);
    expect(result.limits.cpu.peak).toBeLessThan(0.4);
  });

  it("leaves other runs nearly as fast as they were while all these bombs go off at once", { timeout: 120_000 }, async () => {
    const before = await medianOfFive();
    const bomb = ["--cpus", String(cpus().length / 8), "--timeout", "15s"];
    const over = new AbortController();
    const bombs = ["forks", "spin", "anonymous"].map(async (what) => {
      while (!over.signal.aborted) await attack([...bomb, "--timeout", "3s"], exhaust(what));
    });
    const during = await medianOfFive();
    over.abort();
    await Promise.all(bombs);
    expect(during).toBeLessThan(Math.max(before * 1.5, before + TIMING_NOISE_MS));
  });
});

/** Milliseconds of a whole `sandbox run`. */
async function medianOfFive(): Promise<number> {
  const times: number[] = [];
  for (let at = 0; at < 5; at += 1) {
    const from = performance.now();
    const { status } = await runJson(["--", "true"]);
    times.push(performance.now() - from);
    expect(status).toBe(0);
  }
  return times.sort((one, other) => one - other)[2] ?? 0;
}
