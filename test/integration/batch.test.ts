import { chmod, mkdir, readdir, readFile, watch, writeFile } from "node:fs/promises";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import Ajv from "ajv/dist/2020.js";
import addFormats from "ajv-formats";
import { describe, expect, it } from "vitest";
import type { BatchTask } from "../../src/batch/batch-task.ts";
import { summaryJsonSchema } from "../../src/batch/summary-schema.ts";
import { resultJsonSchema } from "../../src/run/result-schema.ts";
import { batchLab } from "../lab/batch.ts";
import { openFakeEngine } from "../lab/fake-engine.ts";
import { largestMemory, MEASURED } from "../lab/measure.ts";
import { type TempDirectory, tempDirectory } from "../lab/temp-directory.ts";
import { childrenOf, containersOfOwner, leftAfter } from "../lab/traces.ts";

const sh = (id: string, script: string, rest: Partial<BatchTask> = {}): BatchTask => ({ id, command: ["sh", "-c", script], ...rest });

/** A directory that every task can write to, at `/m`: what happens inside shows outside, whatever becomes of the results. */
async function sharedMount(
  directory: TempDirectory,
): Promise<{ readonly flags: readonly string[]; readonly path: string; lines(): Promise<readonly string[]> }> {
  const path = directory.join("shared");
  await mkdir(path);
  await chmod(path, 0o777);
  const lines = async (): Promise<readonly string[]> =>
    (await readFile(`${path}/log`, "utf8").catch(() => "")).split("\n").filter((line) => line !== "");
  return { path, lines, flags: ["--mount", `${path}:/m:rw`] };
}

const count = (lines: readonly string[], id: string): number => lines.filter((line) => line === id).length;

describe("a batch", () => {
  it("gives every task its own result for its own reason, in the order of the list", async () => {
    await using directory = await tempDirectory();
    const batch = batchLab(directory);
    await batch.list([
      sh("slow", "sleep 100", { timeout: "500ms" }),
      sh("well", "echo out; echo err >&2"),
      sh("bad", "exit 3"),
      { id: "echo", command: ["sh", "-c", "cat > a.txt; wc -c < a.txt"], stdin: "hello", artifacts: ["*.txt"] },
      sh("oom", "a=aaaaaaaaaaaaaaaa; while :; do a=$a$a; done", { memory: "48m" }),
      { id: "flood", command: ["yes"] },
      sh("out", "wget -q -O- http://example.com:80/ && exit 9; exit 0"),
      { id: "none", command: ["/none"] },
    ]);
    const { status, stdout } = await batch.run(["-j", "3", "--max-output", "1m", "--json"]);
    const summary = await batch.summary();
    expect({ status, printed: JSON.parse(stdout) }).toEqual({ status: 1, printed: summary });
    expect(summary.tasks.map(({ id, reason, exit }) => [id, reason, exit.code])).toEqual([
      ["slow", "timeout", null],
      ["well", "completed", 0],
      ["bad", "completed", 3],
      ["echo", "completed", 0],
      ["oom", "oom", null],
      ["flood", "output-limit", null],
      ["out", "completed", 0],
      ["none", "failed", null],
    ]);
    expect(summary).toMatchObject({ total: 8, succeeded: 3, counts: { timeout: 1, completed: 4, oom: 1, "output-limit": 1, failed: 1 } });
    expect([await batch.file("well", "stdout"), await batch.file("well", "stderr")]).toEqual(["out\n", "err\n"]);
    expect([await batch.file("echo", "stdout"), await batch.file("echo", "artifacts/a.txt")]).toEqual(["5\n", "hello"]);
    expect(await batch.file("flood", "stdout")).toBe("y\n".repeat(512 * 1024));
    expect(JSON.parse(await batch.file("out", "result.json"))).toMatchObject({ egress: [{ host: "example.com", decision: "denied" }] });
    const ajv = addFormats.default(new Ajv.default());
    expect(ajv.validate(summaryJsonSchema(), summary), ajv.errorsText()).toBe(true);
    for (const { id } of summary.tasks)
      expect(ajv.validate(resultJsonSchema(), JSON.parse(await batch.file(id, "result.json")))).toBe(true);
    expect((await readdir(batch.out)).sort()).toEqual([...summary.tasks.map(({ id }) => id), "journal.jsonl", "summary.json"].sort());
  });

  it.each([
    ["1", ["timeout", "completed"]],
    ["2", ["completed", "completed"]],
  ])("runs as many tasks at one time as -j %s says", async (jobs, reasons) => {
    await using directory = await tempDirectory();
    const shared = await sharedMount(directory);
    const batch = batchLab(directory);
    const meet = (own: string, other: string): BatchTask => sh(own, `touch /m/${own}; until [ -e /m/${other} ]; do usleep 20000; done`);
    await batch.list([{ ...meet("a", "b"), timeout: jobs === "1" ? "1s" : "20s" }, meet("b", "a")]);
    await batch.run(["-j", jobs, ...shared.flags]);
    expect((await batch.summary()).tasks.map(({ reason }) => reason)).toEqual(reasons);
  });

  it("starts no more tasks after the first failure with --fail-fast, and lets those that run end", async () => {
    await using directory = await tempDirectory();
    const shared = await sharedMount(directory);
    const batch = batchLab(directory);
    await batch.list([sh("long", "until [ -e /m/go ]; do usleep 20000; done"), sh("bad", "exit 1"), sh("c", "true"), sh("d", "true")]);
    const cli = batch.start(["-j", "2", "--fail-fast", ...shared.flags]);
    await cli.waitFor("no more tasks are started after the first failure");
    await writeFile(`${shared.path}/go`, "");
    expect((await cli.done).status).toBe(1);
    const reasons = async (): Promise<readonly string[]> => (await batch.summary()).tasks.map(({ reason }) => reason);
    expect(await reasons()).toEqual(["completed", "completed", "not-run", "not-run"]);
    expect((await batch.run(["--resume", ...shared.flags])).status).toBe(1);
    expect(await reasons()).toEqual(["completed", "completed", "completed", "completed"]);
  });

  it("tries again what the engine has failed, and never what the task has", async () => {
    await using directory = await tempDirectory();
    await using engine = await openFakeEngine();
    const batch = batchLab(directory);
    const flags = ["--retries", "1", "-H", engine.host, "-j", "1"];
    await batch.list([sh("a", "exit 3"), { id: "b", command: ["/none"] }]);
    await batch.run(flags);
    expect((await batch.summary()).tasks.map(({ attempts }) => attempts)).toEqual([1, 1]);

    await batch.list([sh("c", "true")]);
    const broken = engine.break(/^POST \/containers\/\w+\/start$/, "500");
    expect((await batch.run([...flags, "--resume"])).status).toBe(1);
    expect((await batch.summary()).tasks).toMatchObject([{ id: "c", reason: "failed", attempts: 2 }]);
    const again = batch.start([...flags, "--resume"]);
    await again.waitFor("It is tried again");
    broken[Symbol.dispose]();
    expect((await again.done).status).toBe(0);
    expect((await batch.summary()).tasks).toMatchObject([{ id: "c", reason: "completed", attempts: 2 }]);
  });

  it("does not run again what has a result, unless the task has changed", async () => {
    await using directory = await tempDirectory();
    const shared = await sharedMount(directory);
    const batch = batchLab(directory);
    const task = (id: string, env: string): BatchTask => sh(id, `echo ${id} >> /m/log; exit ${id === "b" ? 1 : 0}`, { env: { V: env } });
    await batch.list([task("a", "1"), task("b", "1"), task("c", "1")]);
    await batch.run(shared.flags);
    const { status, stderr } = await batch.run(shared.flags);
    expect({ status, stderr }).toMatchObject({ status: 73, stderr: expect.stringContaining("Go on with it with --resume") });
    await batch.list([task("d", "1"), task("c", "2"), task("a", "1"), task("b", "1")]);
    await batch.run([...shared.flags, "--resume"]);
    expect((await batch.summary()).tasks.map(({ id, earlier }) => [id, earlier])).toEqual([
      ["d", false],
      ["c", false],
      ["a", true],
      ["b", true],
    ]);
    expect([...(await shared.lines())].sort()).toEqual(["a", "b", "c", "c", "d"]);
  });

  it("loses nothing when it is killed at any moment, and goes on until all is done", { timeout: 60_000 }, async () => {
    await using directory = await tempDirectory();
    const shared = await sharedMount(directory);
    const batch = batchLab(directory);
    const ids = Array.from({ length: 12 }, (_, index) => `t${index}`);
    await batch.list(ids.map((id) => sh(id, `echo ${id} >> /m/log`)));
    const flags = [...shared.flags, "-j", "3", "--verbose"];
    const pids: number[] = [];
    for (const moment of [": started", "completed"]) {
      const cli = batch.start([...flags, ...(pids.length === 0 ? [] : ["--resume"])]);
      pids.push(cli.pid);
      await cli.waitFor(moment);
      await new Promise((resolve) => setTimeout(resolve, Math.random() * 200));
      cli.child.kill("SIGKILL");
      await cli.done;
    }
    const { status } = await batch.run([...flags, "--resume"]);
    const { tasks } = await batch.summary();
    const lines = await shared.lines();
    expect({ status, ids: tasks.map(({ id }) => id) }).toEqual({ status: 0, ids });
    // A run that was killed may have come to its end first: then it is said to have been interrupted.
    const wrong = tasks.filter(({ id, interruptions }) => count(lines, id) < 1 || count(lines, id) > 1 + interruptions);
    expect(wrong).toEqual([]);
    expect(tasks.filter(({ interruptions }) => interruptions > 0).length).toBeGreaterThan(0);
    expect(await leftAfter(10_000, async () => (await Promise.all(pids.map(containersOfOwner))).flat())).toEqual([]);
    expect(await leftAfter(10_000, async () => (await readdir(batch.out)).filter((name) => name.startsWith(".")))).toEqual([]);
  });

  it("starts nothing more at the first interrupt and asks what runs to end, and goes on later", async () => {
    await using directory = await tempDirectory();
    const shared = await sharedMount(directory);
    const batch = batchLab(directory);
    const script = "[ -e /m/a ] && exit 0; trap 'echo gentle >> /m/log; exit 0' INT; touch /m/a; while :; do usleep 20000; done";
    await batch.list([sh("a", script), sh("b", "true")]);
    const cli = batch.start(["-j", "1", ...shared.flags]);
    await appears(shared.path, "a");
    cli.child.kill("SIGINT");
    expect((await cli.done).status).toBe(130);
    expect((await batch.summary()).tasks.map(({ reason }) => reason)).toEqual(["interrupted", "not-run"]);
    expect(await shared.lines()).toEqual(["gentle"]);
    expect((await readdir(batch.out)).sort()).toEqual(["journal.jsonl", "summary.json"]);
    const again = await batch.run(["--resume", ...shared.flags]);
    expect(again).toMatchObject({ status: 0, stderr: expect.stringContaining("a: was under way") });
    expect((await batch.summary()).tasks.map(({ interruptions }) => interruptions)).toEqual([1, 0]);
  });

  it("ends what runs at once at the second interrupt", async () => {
    await using directory = await tempDirectory();
    const shared = await sharedMount(directory);
    const batch = batchLab(directory);
    await batch.list([sh("a", "trap 'touch /m/asked' INT; touch /m/a; while :; do usleep 20000; done"), sh("b", "true")]);
    const cli = batch.start(["-j", "1", "--kill-after", "1h", ...shared.flags]);
    await appears(shared.path, "a");
    cli.child.kill("SIGINT");
    await appears(shared.path, "asked");
    cli.child.kill("SIGINT");
    expect((await cli.done).status).toBe(130);
    expect((await batch.summary()).tasks.map(({ reason }) => reason)).toEqual(["interrupted", "not-run"]);
    expect(await containersOfOwner(cli.pid)).toEqual([]);
  });

  it("lets no second batch write to the same place", async () => {
    await using directory = await tempDirectory();
    const shared = await sharedMount(directory);
    const batch = batchLab(directory);
    await batch.list([sh("a", "touch /m/a; until [ -e /m/go ]; do usleep 20000; done")]);
    const cli = batch.start(shared.flags);
    await appears(shared.path, "a");
    expect(await batch.run(["--resume", ...shared.flags])).toMatchObject({
      status: 73,
      stderr: expect.stringContaining(`Process ${cli.pid} still writes`),
    });
    await writeFile(`${shared.path}/go`, "");
    expect((await cli.done).status).toBe(0);
  });

  it("refuses a bad last line before anything starts, in memory that does not grow with the list", { timeout: 60_000 }, async () => {
    await using directory = await tempDirectory();
    const batch = batchLab(directory);
    const cli = batch.start([], { within: MEASURED, list: "-" });
    await pipeline(Readable.from(manyLines()), cli.child.stdin);
    const { status, stderr } = await cli.done;
    expect({ status, stderr }).toMatchObject({ status: 64, stderr: expect.stringContaining(REFUSED) });
    expect(largestMemory(stderr)).toBeLessThan(200);
    expect(await readdir(directory.path)).toEqual([]);
  });

  it("runs the first of very many tasks, and ends at an interrupt, in memory that does not grow with the list", {
    timeout: 60_000,
  }, async () => {
    await using directory = await tempDirectory();
    const batch = batchLab(directory);
    const cli = batch.start(["-j", "2", "--verbose"], { within: MEASURED, list: "-" });
    await pipeline(Readable.from(manyLines(LINES - 1, SHORT_BYTES)), cli.child.stdin);
    await cli.waitFor("sandbox: t9: completed");
    for (const { pid } of await childrenOf(cli.pid)) process.kill(pid, "SIGINT");
    const { status, stderr } = await cli.done;
    expect(status).toBe(130);
    expect(largestMemory(stderr)).toBeLessThan(200);
    const summary = await batch.summary();
    expect([summary.total, summary.tasks.length]).toEqual([LINES - 1, LINES - 1]);
    expect(summary.succeeded).toBeGreaterThanOrEqual(10);
  });
});

const LINES = 100_000;
/** Much more in all than may be in memory at one time. */
const LINE_BYTES = 4_096;
const SHORT_BYTES = 512;

const REFUSED = `standard input:${LINES + 1}: the id "t1" stands on line 2 already.`;

function* manyLines(count = LINES, bytes = LINE_BYTES): Generator<string> {
  const word = "x".repeat(bytes);
  for (let index = 0; index < count; index += 1) yield `{"id":"t${index}","command":["true"],"stdin":"${word}"}\n`;
  if (count === LINES) yield '{"id":"t1","command":["true"]}\n';
}

/** Settles once `directory` has an entry of this name. */
async function appears(directory: string, name: string): Promise<void> {
  const over = new AbortController();
  const changes = watch(directory, { signal: over.signal });
  const seen = (async () => {
    for await (const { filename } of changes) if (filename === name) return;
  })();
  seen.catch(() => undefined);
  if (!(await readdir(directory)).includes(name)) await seen;
  over.abort();
}
