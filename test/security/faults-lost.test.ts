import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { RunResult } from "../../src/run/result.ts";
import { type RunningCli, runCli, startCli } from "../lab/cli.ts";
import { type PrivateEngine, startPrivateEngine } from "../lab/private-engine.ts";
import { leftAfter } from "../lab/traces.ts";

/** How long a run may take to end when its engine died: it waits that long for one that only restarts. */
const BOUND = 12_000;
/** How long the engine needs to start its containerd again and to clean up behind itself. */
const SETTLED = 30_000;

let engine: PrivateEngine;
beforeAll(async () => {
  engine = await startPrivateEngine();
});
afterAll(() => engine[Symbol.asyncDispose]());

async function startSleeper(): Promise<RunningCli> {
  const cli = startCli(["run", "--events", "--image", "private/busybox", "--", "sleep", "1000"], { env: { DOCKER_HOST: engine.host } });
  await cli.waitFor('"type":"exec.started"');
  return cli;
}

async function outcome(cli: RunningCli) {
  const { status, stdout } = await cli.done;
  const { result } = JSON.parse(stdout.trim().split("\n").at(-1) ?? "") as { readonly result: RunResult };
  return { status, reason: result.reason, destroyed: result.destroyed };
}

/** The engine recovers, `prune` removes what it could not be asked for before, and the next run works. */
async function expectWell(): Promise<void> {
  const left = async (): Promise<readonly string[]> => {
    const { status, stderr } = await runCli(["prune"], { env: { DOCKER_HOST: engine.host } });
    return status === 0 ? engine.containers() : [stderr];
  };
  expect(await leftAfter(SETTLED, left)).toEqual([]);
  const done = await runCli(["run", "--image", "private/busybox", "--", "echo", "well"], { env: { DOCKER_HOST: engine.host } });
  expect(done).toMatchObject({ status: 0, stdout: "well\n", stderr: "" });
  expect(await engine.containers()).toEqual([]);
}

describe("a run whose engine", () => {
  it("is killed ends as lost, and the next run works once the engine is back", async () => {
    const cli = await startSleeper();
    const from = performance.now();
    await engine.killDaemon();
    expect(await outcome(cli)).toEqual({ status: 69, reason: "engine-lost", destroyed: false });
    expect(performance.now() - from).toBeLessThan(BOUND);
    await engine.restart();
    await expectWell();
  });

  it("is killed and restarted at once does not end without a reason", async () => {
    const cli = await startSleeper();
    await engine.killDaemon();
    await engine.restart();
    const { status, reason } = await outcome(cli);
    expect([
      [69, "engine-lost"],
      [137, "killed"],
    ]).toContainEqual([status, reason]);
    await expectWell();
  });

  it("loses its containerd goes on, and ends as its caller wants", { timeout: 60_000 }, async () => {
    const cli = await startSleeper();
    await engine.killContainerd();
    cli.child.kill("SIGTERM");
    expect(await outcome(cli)).toMatchObject({ status: 130, reason: "interrupted" });
    await expectWell();
  });

  it("loses the shim of its container ends as killed", async () => {
    const cli = await startSleeper();
    await engine.killShim();
    expect(await outcome(cli)).toEqual({ status: 137, reason: "killed", destroyed: true });
    await expectWell();
  });
});
