import { once } from "node:events";
import { readdir } from "node:fs/promises";
import { createServer, type Server } from "node:net";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { createSandbox, openEngine, runBatch, runTask, SandboxError } from "../../src/index.ts";
import { type TempDirectory, tempDirectory } from "../lab/temp-directory.ts";

let place: TempDirectory;
let server: Server;
let connections = 0;
let host: string;

/** In the place of an engine: something that nobody may ask for anything yet. */
beforeAll(async () => {
  place = await tempDirectory();
  server = createServer((socket) => {
    connections += 1;
    socket.destroy();
  }).listen(place.join("engine.sock"));
  await once(server, "listening");
  host = `unix://${place.join("engine.sock")}`;
});
afterAll(async () => {
  server.close();
  await place[Symbol.asyncDispose]();
});
beforeEach(() => {
  connections = 0;
});

/** Calls as a program does that no compiler has looked at. */
async function call(what: (options: never) => Promise<unknown>, options: unknown): Promise<unknown> {
  const called: unknown = Reflect.apply(what, undefined, [options]);
  return await called;
}

async function refusalOf(what: (options: never) => Promise<unknown>, options: object): Promise<SandboxError> {
  const thrown = await call(what, options).then(
    () => undefined,
    (error: unknown) => error,
  );
  if (!(thrown instanceof SandboxError)) throw new Error(`It was not refused: ${String(thrown)}`);
  expect(connections).toBe(0);
  expect(await readdir(place.path)).toEqual(["engine.sock"]);
  return thrown;
}

const task = (options: object) => refusalOf(runTask, { host, command: ["true"], ...options });
const box = (options: object) => refusalOf(createSandbox, { host, ...options });
const batch = (options: object) =>
  refusalOf(runBatch, { host, out: place.join("results"), tasks: [{ id: "a", command: ["true"] }], ...options });
const engine = (options: object) => refusalOf(openEngine, { host, ...options });

describe("an option that is none", () => {
  it.each([
    ["createSandbox", box, { memroy: "1g" }, '"memroy" is not an option of createSandbox.', "Write memory, or leave it out."],
    ["createSandbox", box, { "max-output": "1m" }, '"max-output" is not an option of createSandbox.', "Write maxOutput, or leave it out."],
    ["createSandbox", box, { allows: ["x.com"] }, '"allows" is not an option of createSandbox.', "Write allow, or leave it out."],
    ["runTask", task, { timeOut: "5s" }, '"timeOut" is not an option of runTask.', "Write timeout, or leave it out."],
    ["runTask", task, { secret: [] }, '"secret" is not an option of runTask.', "Write secrets, or leave it out."],
    ["runTask", task, { learn: true }, '"learn" is not an option of runTask.', /^Choose from: /],
    ["runBatch", batch, { job: 4 }, '"job" is not an option of runBatch.', "Write jobs, or leave it out."],
    ["runBatch", batch, { concurrency: 4 }, '"concurrency" is not an option of runBatch.', /^Choose from: .*image.*jobs/],
    ["openEngine", engine, { pol: 4 }, '"pol" is not an option of openEngine.', "Write pool, or leave it out."],
  ] as const)(
    "is refused by %s before anything starts, with the one that was meant: %#",
    async (_name, refused, options, sentence, hint) => {
      const error = await refused(options);
      expect(error).toMatchObject({ code: "USAGE", message: sentence });
      if (typeof hint === "string") expect(error.hint).toBe(hint);
      else expect(error.hint).toMatch(hint);
    },
  );

  it("is refused even when its value is undefined, or its name a part of every object", async () => {
    expect(await box({ memroy: undefined })).toMatchObject({ code: "USAGE" });
    expect(await box({ toString: "x" })).toMatchObject({ message: '"toString" is not an option of createSandbox.' });
    expect(await box({ constructor: 1 })).toMatchObject({ message: '"constructor" is not an option of createSandbox.' });
  });

  it("is refused in a rule and in a secret too, where it would widen what may leave", async () => {
    const rule = { text: "x", host: "x.com", deny: false, ports: [443], allowPrivate: false, upgrade: [] };
    expect((await task({ rules: [{ ...rule, method: ["GET"] }] })).message).toContain(
      '[0] is an object with "method", which is none of its keys',
    );
    const secret = { name: "TOKEN", from: { kind: "env", variable: "TOKEN" }, hosts: ["x.com"], in: ["header"] };
    expect((await task({ secrets: [{ ...secret, headers: "X-Key" }] })).message).toContain('with "headers", which is none of its keys');
  });
});

describe("an option with a value of another kind", () => {
  it.each([
    [box, { memory: 512 }, "The option memory of createSandbox is the number 512, where a text belongs."],
    [box, { memory: null }, "The option memory of createSandbox is null, where a text belongs."],
    [box, { cpus: 2 }, "The option cpus of createSandbox is the number 2, where a text belongs."],
    [box, { allow: "x.com" }, "The option allow of createSandbox is a text, where a list of texts belongs."],
    [
      box,
      { mounts: ["/a:/b", 1] },
      "The option mounts of createSandbox is a list in which [1] is the number 1, where a list of texts belongs.",
    ],
    [
      box,
      { env: { A: 1 } },
      'The option env of createSandbox is an object in which "A" is the number 1, where an object of texts belongs.',
    ],
    [box, { env: ["A=1"] }, "The option env of createSandbox is a list, where an object of texts belongs."],
    [box, { keep: "no" }, "The option keep of createSandbox is a text, where true or false belongs."],
    [box, { pull: "often" }, 'The option pull of createSandbox is a text, where one of "missing", "always", "never" belongs.'],
    [box, { signal: new AbortController() }, "The option signal of createSandbox is an object, where an AbortSignal belongs."],
    [box, { engine: {} }, "The option engine of createSandbox is an object, where an engine from openEngine belongs."],
    [task, { command: "ls -l" }, "The option command of runTask is a text, where a list of texts belongs."],
    [task, { command: undefined }, "The option command of runTask is missing."],
    [task, { stdin: 5 }, "The option stdin of runTask is the number 5, where a text, bytes, or a stream of them belongs."],
    [task, { onOutput: true }, "The option onOutput of runTask is true, where a function belongs."],
    [task, { secrets: [7] }, "The option secrets of runTask is a list in which [0] is the number 7, where a list of secrets belongs."],
    [batch, { tasks: 3 }, "The option tasks of runBatch is the number 3, where a path, or tasks that can be iterated belongs."],
    [batch, { jobs: 0 }, "The option jobs of runBatch is the number 0, where a whole number from 1 to 1000 belongs."],
    [batch, { jobs: "4" }, "The option jobs of runBatch is a text, where a whole number from 1 to 1000 belongs."],
    [batch, { retries: Number.NaN }, "The option retries of runBatch is the number NaN, where a whole number from 0 to 100 belongs."],
    [batch, { out: undefined }, "The option out of runBatch is missing."],
    [engine, { pool: -1 }, "The option pool of openEngine is the number -1, where a whole number from 0 to 1000 belongs."],
  ])("is refused in one sentence before anything starts: %#", async (refused, options, sentence) => {
    expect(await refused(options)).toMatchObject({ code: "USAGE", message: sentence });
  });

  it.each([[null], ["memory=1g"], [[]], [5]])("is refused where all options together are %j", async (options) => {
    await expect(call(createSandbox, options)).rejects.toMatchObject({
      code: "USAGE",
      message: "The options of createSandbox are not an object.",
    });
    await expect(call(runTask, options)).rejects.toMatchObject({ code: "USAGE" });
    expect(connections).toBe(0);
  });

  it("is as good as left out where the value is undefined", async () => {
    await expect(call(createSandbox, { host, image: undefined })).rejects.not.toMatchObject({ code: "USAGE" });
    expect(connections).toBeGreaterThan(0);
  });
});

describe("tasks of a batch", () => {
  function* broken(): Generator<object> {
    yield { id: "a", command: ["true"] };
    throw new Error("the database has gone");
  }

  it.each([
    [[{ id: "a", comand: ["true"] }], 'tasks:1: "comand" is not a key of a task.', "Write command, or leave it out."],
    [
      [
        { id: "a", command: ["true"] },
        { id: "a", command: ["true"] },
      ],
      'tasks:2: the id "a" stands on line 1 already.',
      /id of its own/,
    ],
    [[undefined], "tasks:1: a task is an object, and this is none.", /Write/],
    [[{ id: "a", command: ["true"], timeout: 5n }], /^tasks:1: the task can't be had: .*BigInt/, /all of them/],
    [broken(), "tasks:2: the task can't be had: the database has gone.", /all of them/],
    [[], "tasks:1: there is no task.", /one at least/],
  ])("are refused with their place in the list, before anything starts: %#", async (tasks, sentence, hint) => {
    const error = await batch({ tasks });
    expect(error.code).toBe("BAD_BATCH");
    expect(error.message).toMatch(sentence);
    expect(error.hint).toMatch(hint);
  });
});
