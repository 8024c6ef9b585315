import { readdir, readFile, readlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, it } from "vitest";
import { connectEngine } from "../../src/engine/find-engine.ts";
import type { Engine } from "../../src/engine/port.ts";
import { resolveTask } from "../../src/policy/resolve-task.ts";
import type { TaskRequest } from "../../src/policy/task-request.ts";
import type { Interrupts } from "../../src/run/context.ts";
import type { RunResult } from "../../src/run/result.ts";
import { runTask } from "../../src/run/run-task.ts";
import { specFor } from "../engine/stand-in.ts";
import { startCli } from "../lab/cli.ts";
import { askEngine, engineSocket, snapshotEngine } from "../lab/engine-api.ts";
import { TEST_IMAGES } from "../lab/images.ts";
import { runJson } from "../lab/run-json.ts";
import { childrenOf, leftAfter, processesWith } from "../lab/traces.ts";

const RUNS = 300;
const PROCESSES = 40;
const AT_ONCE = 8;
const SETTLED = 5_000;
/** What the engine opens and closes, begins and ends for its own ends. */
const SLACK = 5;

const built = (path: string): string => fileURLToPath(new URL(`../../dist/${path}`, import.meta.url));
const WATCHDOG = built("watchdog.js");

type Kind = { readonly request: Omit<TaskRequest, "image">; readonly reason: RunResult["reason"]; readonly interrupts?: () => Interrupts };

/** Ways to end, in turn. */
const KINDS: readonly Kind[] = [
  { request: { command: ["echo", "well"] }, reason: "completed" },
  { request: { command: ["sh", "-c", "exit 3"] }, reason: "completed" },
  { request: { command: ["sh", "-c", "kill -9 $$"] }, reason: "completed" },
  { request: { command: ["/none"] }, reason: "failed" },
  { request: { command: ["sleep", "1000"], timeout: "200ms" }, reason: "timeout" },
  { request: { command: ["yes"], maxOutput: "64k" }, reason: "output-limit" },
  { request: { command: ["sh", "-c", "sleep 1000 & sleep 1000 &"] }, reason: "completed" },
  { request: { command: ["sleep", "1000"] }, reason: "interrupted", interrupts: () => interruptsAfter(300, 400) },
  { request: { command: ["sleep", "1000"] }, reason: "interrupted", interrupts: () => interruptsAfter(20, 60_000) },
  { request: { command: ["sleep", "1000"] }, reason: "interrupted", interrupts: () => interruptsAfter(20, 40) },
];

/** A caller who asks, and insists, so many milliseconds after the run has begun. */
function interruptsAfter(gentle: number, forced: number): Interrupts {
  return { gentle: AbortSignal.timeout(gentle), forced: AbortSignal.timeout(forced) };
}

/** What the engine and this machine hold because of runs. */
async function holdings() {
  const daemon = await daemonPid();
  const [engine, goroutines, descriptors, mounts, temporary] = await Promise.all([
    snapshotEngine(),
    countGoroutines(),
    readdir(`/proc/${daemon}/fd`),
    readFile(`/proc/${daemon}/mountinfo`, "utf8"),
    readdir(tmpdir()),
  ]);
  return {
    ...engine,
    goroutines,
    descriptors: descriptors.length,
    mounts: mounts.trim().split("\n").length,
    temporary: temporary.filter((name) => /sandbox/.test(name)),
  };
}

/** Threads of the engine's own program: one that waits for good shows here, whatever it holds. */
async function countGoroutines(): Promise<number> {
  const { body } = await askEngine({ path: "/info" });
  if (typeof body === "object" && body !== null && "NGoroutines" in body && typeof body.NGoroutines === "number") return body.NGoroutines;
  throw new Error("The engine does not say how many goroutines it has.");
}

/** Docker Engine closes the connections of attached clients when it collects garbage: gives it some. */
async function stirEngine(): Promise<void> {
  await inParallel(100, async () => void (await askEngine({ path: "/info" })));
}

/** The daemon behind the tests' socket, or the only one. */
async function daemonPid(): Promise<number> {
  const candidates = await processesWith("dockerd");
  const exact: number[] = [];
  for (const { pid } of candidates) {
    const program = await readlink(`/proc/${pid}/exe`).catch(() => "");
    const line = await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "");
    if (!program.endsWith("/dockerd")) continue;
    if (line.includes(`unix://${engineSocket()}`)) return pid;
    exact.push(pid);
  }
  const [only] = exact;
  if (only === undefined || exact.length > 1) throw new Error("There is not exactly one dockerd on this machine.");
  return only;
}

/** What there is more of than before, and than `SLACK` explains. */
function moreThan(before: number, now: number, what: string): readonly string[] {
  return now > before + SLACK ? [`${now - before} ${what}`] : [];
}

async function inParallel(count: number, work: (index: number) => Promise<void>): Promise<void> {
  let next = 0;
  const lane = async (): Promise<void> => {
    for (let index = next++; index < count; index = next++) await work(index);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, lane));
}

describe("hundreds of runs, eight at once", () => {
  let engine: Engine;
  let before: Awaited<ReturnType<typeof holdings>>;
  beforeAll(async () => {
    engine = await connectEngine({
      host: `unix://${engineSocket()}`,
      env: {},
      home: "/nonexistent",
      uid: 0,
      guestDirectory: built("guest"),
      seccompFile: fileURLToPath(new URL("../../images/seccomp.json", import.meta.url)),
      watchdogScript: WATCHDOG,
    });
    await runTask(resolveTask({ command: ["true"], image: TEST_IMAGES.busybox }), { engine, keepOutput: false });
    before = await holdings();
  });

  it("each end for the reason that it should, in one process", { timeout: 100_000 }, async () => {
    const wrong: unknown[] = [];
    await inParallel(RUNS, async (index) => {
      const { request, reason, interrupts } = KINDS[index % KINDS.length] ?? { request: { command: ["true"] }, reason: "completed" };
      const task = resolveTask({ ...request, image: TEST_IMAGES.busybox });
      const result = await runTask(task, { engine, keepOutput: true, ...(interrupts === undefined ? {} : { interrupts: interrupts() }) });
      if (result.reason !== reason) wrong.push({ index, reason: result.reason, detail: result.detail, wanted: reason });
    });
    expect(wrong).toEqual([]);
  });

  it("each end for the reason that it should, as processes", { timeout: 60_000 }, async () => {
    const wrong: unknown[] = [];
    await inParallel(PROCESSES, async (index) => {
      const [flags, command, status] = index % 2 === 0 ? [[], ["echo", "well"], 0] : [["--timeout", "100ms"], ["sleep", "1000"], 124];
      const done = await runJson([...flags, "--", ...command]);
      if (done.status !== status || !done.result.destroyed) wrong.push({ index, status: done.status, detail: done.result.detail });
    });
    expect(wrong).toEqual([]);
  });

  it("show on the engine and on this machine while one of them lasts", async () => {
    const cli = startCli(["run", "--events", "--image", TEST_IMAGES.busybox, "--", "sleep", "1000"]);
    await cli.waitFor("exec.started");
    const during = await holdings();
    cli.child.kill("SIGTERM");
    await cli.done;
    expect(during.containers.length).toBeGreaterThan(before.containers.length);
    expect(during.mounts).toBeGreaterThan(before.mounts);
    expect(during.descriptors).toBeGreaterThan(before.descriptors);
  });

  it("hold nothing in the engine by containers that were connected to and never started", async () => {
    const image = await engine.findImage(TEST_IMAGES.busybox);
    if (image === undefined) throw new Error(`${TEST_IMAGES.busybox} is not there.`);
    const connectAndDestroy = async (): Promise<void> => {
      const container = await engine.create(specFor(image));
      await container.attach();
      expect(await container.destroy()).toMatchObject({ destroyed: true });
    };
    // So many connections to the engine as will be open afterwards too.
    await inParallel(AT_ONCE, connectAndDestroy);
    const goroutines = await countGoroutines();
    await inParallel(20, connectAndDestroy);
    expect(await leftAfter(SETTLED, async () => moreThan(goroutines, await countGoroutines(), "goroutines"))).toEqual([]);
  });

  it("leave no watchdog once nothing is to be watched", async () => {
    const watchdogs = async (): Promise<readonly string[]> => {
      const [ours, theirs] = await Promise.all([childrenOf(process.pid), processesWith(WATCHDOG)]);
      return ours.filter(({ pid }) => theirs.some((other) => other.pid === pid)).map(({ pid }) => `watchdog ${pid}`);
    };
    expect(await leftAfter(SETTLED, watchdogs)).toEqual([]);
  });

  it("leave nothing on the engine and on this machine", async () => {
    engine.close();
    const left = await leftAfter(SETTLED, async () => {
      await stirEngine();
      const now = await holdings();
      return [
        ...now.containers.filter((id) => !before.containers.includes(id)),
        ...now.volumes.filter((name) => !before.volumes.includes(name)),
        ...now.temporary.filter((name) => !before.temporary.includes(name)),
        ...(now.mounts > before.mounts ? [`${now.mounts - before.mounts} mounts`] : []),
        ...moreThan(before.goroutines, now.goroutines, "goroutines"),
        ...moreThan(before.descriptors, now.descriptors, "descriptors"),
      ];
    });
    expect(left).toEqual([]);
  });
});
