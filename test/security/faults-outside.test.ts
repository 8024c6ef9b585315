import { describe, expect, it } from "vitest";
import type { RunResult } from "../../src/run/result.ts";
import { type RunningCli, runCli, startCli } from "../lab/cli.ts";
import { containersOfRun, dockerCli } from "../lab/engine-api.ts";
import { TEST_IMAGES } from "../lab/images.ts";
import { leftAfter } from "../lab/traces.ts";

type Live = { readonly cli: RunningCli; readonly run: string; readonly container: string };

/** A run whose command is under way. */
async function startSleeper(flags: readonly string[] = []): Promise<Live> {
  const cli = startCli(["run", "--events", "--image", TEST_IMAGES.busybox, ...flags, "--", "sleep", "1000"]);
  let said = "";
  cli.child.stdout.on("data", (piece: Buffer) => {
    said += piece.toString();
  });
  await cli.waitFor('"type":"exec.started"');
  const created = said.split("\n").find((line) => line.includes('"sandbox.created"')) ?? "";
  return { cli, ...(JSON.parse(created) as { readonly run: string; readonly container: string }) };
}

async function outcome({ cli, run }: Live) {
  const { status, stdout } = await cli.done;
  const { result } = JSON.parse(stdout.trim().split("\n").at(-1) ?? "") as { readonly result: RunResult };
  return { status, reason: result.reason, destroyed: result.destroyed, left: await containersOfRun(run) };
}

const KILLED = { status: 137, reason: "killed", destroyed: true, left: [] };

describe("a container that someone else", () => {
  it.each([
    ["removes", ["rm", "--force"]],
    ["kills", ["kill"]],
    ["stops", ["stop", "--time", "1"]],
  ])("%s ends its run as killed", async (_what, command) => {
    const live = await startSleeper();
    await dockerCli([...command, live.container]);
    expect(await outcome(live)).toEqual(KILLED);
  });

  it("pauses ends at its time, and is removed though it is frozen", async () => {
    const live = await startSleeper(["--timeout", "1s", "--kill-after", "200ms"]);
    await dockerCli(["pause", live.container]);
    expect(await outcome(live)).toEqual({ status: 124, reason: "timeout", destroyed: true, left: [] });
  });

  it("pauses is gone within two seconds when its run is killed, though it can't notice that", async () => {
    const live = await startSleeper();
    await dockerCli(["pause", live.container]);
    live.cli.child.kill("SIGKILL");
    expect(await leftAfter(2_000, () => containersOfRun(live.run))).toEqual([]);
  });

  it("pauses ends also when the caller interrupts it, at once when they insist", async () => {
    const live = await startSleeper();
    await dockerCli(["pause", live.container]);
    live.cli.child.kill("SIGINT");
    live.cli.child.kill("SIGTERM");
    expect(await outcome(live)).toEqual({ status: 130, reason: "interrupted", destroyed: true, left: [] });
  });

  it("pauses and lets go on ends as if nothing had been", async () => {
    const live = await startSleeper(["--timeout", "20s"]);
    await dockerCli(["pause", live.container]);
    await dockerCli(["unpause", live.container]);
    live.cli.child.kill("SIGTERM");
    expect(await outcome(live)).toMatchObject({ status: 130, reason: "interrupted" });
  });
});

describe("`sandbox kill`", () => {
  it("ends the run that it names and no other", async () => {
    const [named, other] = await Promise.all([startSleeper(), startSleeper()]);
    expect(await runCli(["kill", named.run])).toMatchObject({ status: 0, stdout: `${named.run}\n` });
    expect(await outcome(named)).toEqual(KILLED);
    expect(await containersOfRun(other.run)).toHaveLength(1);
    expect(await runCli(["kill", other.run])).toMatchObject({ status: 0 });
    expect(await outcome(other)).toEqual(KILLED);
  });

  it("refuses what is no run of ours, whatever it is called", async () => {
    const name = "sandbox-01234567890123456789";
    await dockerCli(["create", "--name", name, TEST_IMAGES.busybox, "true"]);
    const { status, stderr } = await runCli(["kill", "01234567890123456789"]);
    const listed = await dockerCli(["ps", "--all", "--filter", `name=${name}`, "--quiet"]);
    await dockerCli(["rm", name]);
    expect({ status, said: stderr.includes("NO_SUCH_RUN"), there: listed !== "" }).toEqual({ status: 64, said: true, there: true });
  });
});
