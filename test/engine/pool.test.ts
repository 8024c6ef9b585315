import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { containerName } from "../../src/engine/ownership.ts";
import { createPool, type Pool } from "../../src/engine/pool.ts";
import type { ContainerSpec, Engine, Image } from "../../src/engine/port.ts";
import { resolveTask } from "../../src/policy/resolve-task.ts";
import type { TaskRequest } from "../../src/policy/task-request.ts";
import type { RunResult } from "../../src/run/result.ts";
import { runTask } from "../../src/run/run-task.ts";
import { dockerCli } from "../lab/engine-api.ts";
import { TEST_IMAGES } from "../lab/images.ts";
import { openProductEngine } from "../lab/product-engine.ts";
import { containersOfOwner, stateOf } from "../lab/traces.ts";
import { specFor } from "./stand-in.ts";

let engine: Engine;
let image: Image;
/** What is asked of the engine below the pool, in order. */
let asked: string[] = [];
let watched: Engine;

beforeAll(async () => {
  engine = await openProductEngine();
  const found = await engine.findImage(TEST_IMAGES.busybox);
  if (found === undefined) throw new Error("The test image is missing.");
  image = found;
  watched = {
    ...engine,
    findImage: (ref) => note(`find ${ref}`, engine.findImage(ref)),
    create: (spec) => note(`create ${spec.run}`, engine.create(spec)),
  };
});

afterAll(() => engine.close());

function note<T>(what: string, answer: Promise<T>): Promise<T> {
  asked.push(what);
  return answer;
}

function open(max: number, total?: number): Pool {
  asked = [];
  const pool = createPool(watched, { max, ...(total === undefined ? {} : { total }) });
  onTestFinished(() => pool[Symbol.asyncDispose]());
  return pool;
}

const run = (pool: Pool, request: Partial<TaskRequest> = {}, onOutput?: () => void): Promise<RunResult> =>
  runTask(resolveTask({ image: TEST_IMAGES.busybox, command: ["echo", "x"], memory: "128m", ...request }), {
    engine: pool,
    keepOutput: true,
    ...(onOutput === undefined ? {} : { onOutput }),
  });

const spec = (pool: Pool, change: Partial<ContainerSpec> = {}): ContainerSpec => ({
  ...specFor(image),
  labels: {},
  run: pool.newRun(),
  ...change,
});

/** Ids of the runs whose containers were made by the pool or for it. */
const created = (): readonly string[] => asked.filter((what) => what.startsWith("create")).map((what) => what.slice("create ".length));

describe("a pool", () => {
  it("prepares nothing before it knows what is wanted", async () => {
    await using pool = open(4);
    pool.newRun();
    expect(await pool.settled()).toBe(0);
    expect(created()).toEqual([]);
  });

  it("hands a run a container that was started before, without asking the engine anything", async () => {
    await using pool = open(2);
    const first = await run(pool);
    expect(await pool.settled()).toBe(1);
    const [, prepared] = created();
    asked = [];
    let atOutput: readonly string[] = ["no output came"];
    const second = await run(pool, {}, () => {
      atOutput = [...asked];
    });
    expect([first, second].map(({ stdout, destroyed }) => [stdout.text, destroyed])).toEqual([
      ["x\n", true],
      ["x\n", true],
    ]);
    expect(second.run).toBe(prepared);
    // On a busy machine the next one is being made by then.
    const isForAnother = (what: string): boolean => what.startsWith("create ") && what !== `create ${second.run}`;
    expect(atOutput.filter((what) => !isForAnother(what))).toEqual([]);
    expect(await stateOf(containerName(second.run))).toBeUndefined();
    await pool.settled();
    expect((await run(pool)).run).not.toBe(second.run);
  });

  it("uses each container once, so that nothing of one run is in the next", async () => {
    await using pool = open(1);
    await run(pool, { command: ["sh", "-c", "echo left > /workspace/a; echo left > /tmp/a; (setsid sleep 1000 &)"] });
    await pool.settled();
    const { stdout } = await run(pool, { command: ["sh", "-c", "ls -A /workspace; ls -A /tmp; ps -o args | grep -c '[s]leep'"] });
    expect(stdout.text).toBe("0\n");
  });

  it.each([
    ["another memory limit", { memory: "256m" }],
    ["another image", { image: TEST_IMAGES.musl }],
    ["labels of its own", { labels: { team: "a" } }],
    ["another user", { user: "1000" }],
    ["a mount", { mounts: ["/usr/share:/data"] }],
  ])("never hands a container to a run with %s", async (_name, request) => {
    await using pool = open(1);
    await run(pool);
    await pool.settled();
    const [, prepared = ""] = created();
    const other = await run(pool, request);
    expect(other).toMatchObject({ reason: "completed", destroyed: true, run: prepared });
    expect(created().filter((id) => id === prepared)).toHaveLength(2);
    await pool.settled();
  });

  it("waits for two of a kind once what is wanted has changed", async () => {
    await using pool = open(1);
    await run(pool);
    await pool.settled();
    await run(pool, { memory: "256m" });
    expect(await pool.settled()).toBe(0);
    await run(pool, { memory: "256m" });
    expect(await pool.settled()).toBe(1);
  });

  it("never hands out a container that died", async () => {
    await using pool = open(1);
    await run(pool);
    await pool.settled();
    const [, prepared = ""] = created();
    await dockerCli(["kill", containerName(prepared)]);
    await expect.poll(() => pool.settled(), { timeout: 20_000 }).toBe(0);
    const next = await run(pool);
    expect(next).toMatchObject({ reason: "completed", destroyed: true });
    await pool.settled();
    expect(await stateOf(containerName(prepared))).toBeUndefined();
  });

  it("has as many waiting as were in use at once, but no more than its bound", async () => {
    await using pool = open(2);
    const one = await pool.create(spec(pool));
    expect(await pool.settled()).toBe(1);
    const others = await Promise.all([pool.create(spec(pool)), pool.create(spec(pool)), pool.create(spec(pool))]);
    expect(await pool.settled()).toBe(2);
    await Promise.all([one, ...others].map((container) => container.destroy()));
    expect(await pool.settled()).toBe(2);
    expect(await containersOfOwner(process.pid)).toHaveLength(2);
  });

  it("with a bound of 0 is the engine itself", async () => {
    await using pool = open(0);
    const results = [await run(pool), await run(pool)];
    expect(await pool.settled()).toBe(0);
    expect(created()).toEqual(results.map((result) => result.run));
  });

  it("leaves nothing when it is closed, not even what it is just making or has promised", async () => {
    const pool = open(3);
    const container = await pool.create(spec(pool));
    await pool.settled();
    const promised = pool.newRun();
    expect(await stateOf(containerName(promised))).toBe("running");
    const more = [await pool.create({ ...specFor(image), labels: {}, run: pool.newRun() })];
    const settling = pool.settled();
    await pool[Symbol.asyncDispose]();
    await settling;
    await Promise.all([container, ...more].map((lent) => lent.destroy()));
    expect(await containersOfOwner(process.pid)).toEqual([]);
  });

  it("has none ready beyond the number that will be asked for in all", async () => {
    const pool = open(4, 2);
    await run(pool);
    expect(await pool.settled()).toBe(1);
    await run(pool);
    expect(await pool.settled()).toBe(0);
    expect(asked.filter((what) => what.startsWith("create"))).toHaveLength(2);
  });

  it.each([-1, 0.5, Number.NaN])("refuses a bound of %d", (max) => {
    expect(() => createPool(engine, { max })).toThrow(expect.objectContaining({ code: "USAGE" }));
  });

  it("looks an image up once, and again when the engine has lost it", async () => {
    await using pool = open(1);
    await run(pool);
    await run(pool);
    expect(asked.filter((what) => what.startsWith("find"))).toHaveLength(1);
    const gone = { ...image, id: `sha256:${"0".repeat(64)}` };
    await expect(pool.create(spec(pool, { image: gone }))).rejects.toMatchObject({ code: "NO_IMAGE" });
    await run(pool);
    expect(asked.filter((what) => what.startsWith("find"))).toHaveLength(2);
  });
});
