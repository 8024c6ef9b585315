import { createHash } from "node:crypto";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { setTimeout as pause } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { runCli, startCli } from "../lab/cli.ts";
import { containersOfRun } from "../lab/engine-api.ts";
import { TEST_IMAGES } from "../lab/images.ts";
import { openProbes } from "../lab/probes.ts";
import { runJson } from "../lab/run-json.ts";
import { tempDirectory } from "../lab/temp-directory.ts";

const MEBIBYTE = 1024 * 1024;
const TEN_GB = 10_000_000_000;
const TWO_GB = 2_000_000_000;
const HIGHEST_RSS_KIB = 150 * 1024;

/** Makes a Node.js process say at its end how much memory it had at most, in KiB. */
const TELL_PEAK = `--import=data:text/javascript,${encodeURIComponent('process.on("exit",()=>process._rawDebug("peak=" + process.resourceUsage().maxRSS))')}`;

describe("output", () => {
  it.each([
    ["with newlines", `yes | head -c ${TEN_GB}`],
    ["without", `head -c ${TEN_GB} /dev/zero`],
    ["on standard error", `head -c ${TEN_GB} /dev/zero >&2`],
  ])("of 10 GB %s ends at --max-output", async (_how, script) => {
    const { status, result } = await runJson(["--max-output", "32m", "--", "sh", "-c", script]);
    expect({ status, reason: result.reason, output: result.limits.output }).toEqual({
      status: 77,
      reason: "output-limit",
      output: { limit: 32 * MEBIBYTE, peak: 32 * MEBIBYTE, hit: true },
    });
    expect(result.stdout.bytes + result.stderr.bytes).toBeLessThan(33 * MEBIBYTE);
    expect(await containersOfRun(result.run)).toEqual([]);
  });

  it("of 2 GB passes through a process that stays small", { timeout: 200_000 }, async () => {
    const flags = ["--cpus", "2", "--max-output", "3g", "--timeout", "3m"];
    const { status, result, stderr } = await runJson([...flags, "--", "head", "-c", String(TWO_GB), "/dev/zero"], {
      env: { NODE_OPTIONS: TELL_PEAK },
    });
    expect({ status, reason: result.reason, bytes: result.stdout.bytes }).toEqual({ status: 0, reason: "completed", bytes: TWO_GB });
    expect(Number(/peak=(\d+)/.exec(stderr)?.[1])).toBeLessThan(HIGHEST_RSS_KIB);
  });

  it("waits for a reader that rests, and comes whole when it goes on", async () => {
    const bytes = 32 * MEBIBYTE;
    const cli = startCli(["run", "--image", TEST_IMAGES.busybox, "--", "head", "-c", String(bytes), "/dev/zero"]);
    cli.child.stdin.end();
    await once(cli.child.stdout, "data");
    cli.child.stdout.pause();
    // Longer than it takes to fill every buffer on the way.
    await pause(1000);
    cli.child.stdout.resume();
    const done = await cli.done;
    expect({ status: done.status, bytes: done.bytes.length }).toEqual({ status: 0, bytes });
  });

  it("of a million short lines arrives exactly", async () => {
    const { status, result } = await runJson(["--", "seq", "1000000"]);
    const lines = createHash("sha256");
    for (let line = 1; line <= 1_000_000; line += 1) lines.update(`${line}\n`);
    expect({ status, sha256: result.stdout.sha256 }).toEqual({ status: 0, sha256: lines.digest("hex") });
  });

  it("in writes of one byte arrives exactly", async () => {
    await using probes = await openProbes("exhaust");
    const { status, result } = await runJson(["--mount", `${probes.path}:/probe`, "--", "/probe/exhaust", "bytes", "200000"]);
    const sha256 = createHash("sha256").update("x".repeat(200_000)).digest("hex");
    expect({ status, sha256: result.stdout.sha256 }).toEqual({ status: 0, sha256 });
  });
});

describe("arguments and environment", () => {
  /** As much as fits together with the rest of the command. */
  const LARGEST = 1_048_576;
  /** Of one string with its NUL: MAX_ARG_STRLEN of the kernel. */
  const LONGEST_STRING = 131_072;

  it("of nearly 1 MiB arrive", async () => {
    const words = Array.from({ length: 10 }, (_unused, index) => String(index).repeat(100_000));
    const { status, stdout } = await runCli(["run", "--image", TEST_IMAGES.busybox, "--", "sh", "-c", 'echo "$*" | wc -c', "sh", ...words]);
    expect({ status, stdout }).toEqual({ status: 0, stdout: `${10 * 100_001}\n` });
  });

  it("beyond 1 MiB are refused with the size that they have and may have", async () => {
    const words = Array.from({ length: 11 }, (_unused, index) => String(index % 10).repeat(100_000));
    const { status, stderr } = await runCli(["run", "--image", TEST_IMAGES.busybox, "--", "echo", ...words]);
    expect(status).toBe(64);
    expect(stderr).toMatch(
      new RegExp(
        `^sandbox: (failed: )?The command and its environment take 1100\\d\\d\\d bytes; ${LARGEST} is the most\\.\n.*\\(BAD_COMMAND\\)\n$`,
      ),
    );
  });

  it.each([
    ["the longest that the kernel takes", LONGEST_STRING - "BIG=".length - 1, 0, ""],
    ["one byte longer", LONGEST_STRING - "BIG=".length, 126, "arguments are too long (E2BIG)"],
  ])("may have one string of %s", async (_which, length, expected, said) => {
    await using directory = await tempDirectory();
    await writeFile(directory.join("env"), `BIG=${"x".repeat(length)}\n`);
    const flags = ["--env-file", directory.join("env")];
    const { status, stderr } = await runCli(["run", "--image", TEST_IMAGES.busybox, ...flags, "--", "sh", "-c", "true"]);
    expect(status).toBe(expected);
    expect(stderr).toContain(said);
  });
});
