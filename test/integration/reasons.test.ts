import { describe, expect, it } from "vitest";
import { runCli, startCli } from "../lab/cli.ts";
import { containersOfRun, dockerCli } from "../lab/engine-api.ts";
import { TEST_IMAGES } from "../lab/images.ts";
import { runJson } from "../lab/run-json.ts";

/** The run id of the first event. */
async function startedRun(cli: ReturnType<typeof startCli>): Promise<string> {
  let text = "";
  cli.child.stdout.on("data", (piece: Buffer) => {
    text += piece.toString();
  });
  await cli.waitFor("exec.started");
  return /"run":"([0-9a-z]{20})"/.exec(text)?.[1] ?? "";
}

const SLEEPER = ["run", "--events", "--image", TEST_IMAGES.busybox, "--", "sleep", "1000"];

function lastResult(stdout: string): { readonly reason: string; readonly destroyed: boolean; readonly detail: string } {
  const last = JSON.parse(stdout.trim().split("\n").at(-1) ?? "") as {
    readonly result: { readonly reason: string; readonly destroyed: boolean; readonly detail: string };
  };
  return last.result;
}

describe("the reason of a run", () => {
  it("is `completed` whatever the exit status", async () => {
    const { status, result } = await runJson(["--", "sh", "-c", "exit 124"]);
    expect({ status, reason: result.reason }).toEqual({ status: 124, reason: "completed" });
  });

  it("is `timeout` for a command that ends at TERM, and for one that ignores it", async () => {
    const polite = await runJson(["--timeout", "300ms", "--", "sleep", "1000"]);
    expect({ status: polite.status, reason: polite.result.reason, exit: polite.result.exit }).toEqual({
      status: 124,
      reason: "timeout",
      exit: { code: null, signal: "SIGTERM" },
    });
    const deaf = await runJson([
      "--timeout",
      "300ms",
      "--kill-after",
      "200ms",
      "--",
      "sh",
      "-c",
      'trap "" TERM; while :; do sleep 1; done',
    ]);
    expect({ status: deaf.status, reason: deaf.result.reason, exit: deaf.result.exit }).toEqual({
      status: 124,
      reason: "timeout",
      exit: { code: null, signal: "SIGKILL" },
    });
    expect(deaf.result.limits.time).toMatchObject({ limit: 300, hit: true });
  });

  it("is `timeout` also while nobody reads the output", async () => {
    const cli = startCli(["run", "--image", TEST_IMAGES.busybox, "--timeout", "300ms", "--max-output", "1g", "--", "yes"]);
    await cli.waitFor("y\n");
    cli.child.stdout.pause();
    await cli.waitFor("sandbox: timeout");
    cli.child.stdout.resume();
    expect((await cli.done).status).toBe(124);
  });

  it("is `oom` when memory ran out, and not `completed` with 137", async () => {
    const { status, result } = await runJson([
      "--image",
      TEST_IMAGES.debian,
      "--memory",
      "128m",
      "--disk",
      "16m",
      "--tmp-size",
      "16m",
      "--",
      "python3",
      "-c",
      "x = bytearray(10**9)",
    ]);
    expect({ status, reason: result.reason, hit: result.limits.memory.hit }).toEqual({ status: 137, reason: "oom", hit: true });
  });

  it("is `output-limit` past --max-output, and exactly that much comes out", async () => {
    const { status, result } = await runJson(["--max-output", "100k", "--", "yes"]);
    expect({ status, reason: result.reason, bytes: result.stdout.bytes, hit: result.limits.output.hit }).toEqual({
      status: 77,
      reason: "output-limit",
      bytes: 102_400,
      hit: true,
    });
  });

  it.each(["SIGINT", "SIGTERM", "SIGHUP"] as const)("is `interrupted` after %s", async (signal) => {
    const cli = startCli(SLEEPER);
    const run = await startedRun(cli);
    cli.child.kill(signal);
    const { status, stdout } = await cli.done;
    expect({ status, result: lastResult(stdout) }).toMatchObject({ status: 130, result: { reason: "interrupted", destroyed: true } });
    expect(await containersOfRun(run)).toEqual([]);
  });

  it("is `interrupted` at once after a second signal, whatever the command thinks of it", async () => {
    const cli = startCli([
      "run",
      "--events",
      "--image",
      TEST_IMAGES.busybox,
      "--kill-after",
      "1h",
      "--",
      "sh",
      "-c",
      'trap "" INT TERM; echo deaf; while :; do sleep 1; done',
    ]);
    // The first event names the command, and so every word of it.
    await cli.waitFor(`"type":"stdout"`);
    cli.child.kill("SIGINT");
    cli.child.kill("SIGTERM");
    const { status, stdout } = await cli.done;
    expect({ status, result: lastResult(stdout) }).toMatchObject({ status: 130, result: { reason: "interrupted", destroyed: true } });
  });

  it("is `killed` when another process ends the run", async () => {
    const cli = startCli(SLEEPER);
    const run = await startedRun(cli);
    expect((await runCli(["ps"])).stdout).toContain(run);
    expect((await runCli(["kill", run])).stdout).toBe(`${run}\n`);
    const { status, stdout } = await cli.done;
    expect({ status, result: lastResult(stdout) }).toMatchObject({ status: 137, result: { reason: "killed", destroyed: true } });
  });

  it("is `killed` when somebody removes the container behind our back", async () => {
    const cli = startCli(SLEEPER);
    const run = await startedRun(cli);
    await dockerCli(["rm", "-f", `sandbox-${run}`]);
    expect(lastResult((await cli.done).stdout)).toMatchObject({ reason: "killed", destroyed: true });
  });

  it("is `timeout` for a container that somebody froze, which is gone all the same", async () => {
    const cli = startCli([
      "run",
      "--events",
      "--image",
      TEST_IMAGES.busybox,
      "--timeout",
      "1s",
      "--kill-after",
      "100ms",
      "--",
      "sleep",
      "1000",
    ]);
    const run = await startedRun(cli);
    await dockerCli(["pause", `sandbox-${run}`]);
    expect(lastResult((await cli.done).stdout)).toMatchObject({ reason: "timeout", destroyed: true });
    expect(await containersOfRun(run)).toEqual([]);
  });
});
