import { getEventListeners } from "node:events";
import { stat } from "node:fs/promises";
import { PassThrough, Readable } from "node:stream";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Engine } from "../../src/engine/port.ts";
import { createSandbox, runBatch, runTask, type Sandbox, SandboxError, type TaskOptions } from "../../src/index.ts";
import { containersOfRun } from "../lab/engine-api.ts";
import { TEST_IMAGES } from "../lab/images.ts";
import { openProductEngine } from "../lab/product-engine.ts";
import { tempDirectory } from "../lab/temp-directory.ts";
import { containersOfOwner, leftAfter } from "../lab/traces.ts";

const image = TEST_IMAGES.busybox;
/** Nothing is left so long after it was given up, in milliseconds. */
const BOUND = 2_000;

let engine: Engine;
let box: Sandbox;

beforeAll(async () => {
  engine = await openProductEngine();
  box = await createSandbox({ engine, image });
});
afterAll(async () => {
  await box.close();
  engine.close();
});

const sh = (script: string, options: Parameters<Sandbox["exec"]>[1] = {}) => box.exec(["sh", "-c", script], options);
const task = (script: string, options: Omit<TaskOptions, "command"> = {}) =>
  runTask({ engine, image, command: ["sh", "-c", script], ...options });
/** Containers of this process but the one that stays open. */
const own = async () => {
  const [shared] = await containersOfRun(box.id);
  return (await containersOfOwner(process.pid)).filter((id) => id !== shared);
};

function listenersOf(signal: AbortSignal): number {
  return getEventListeners(signal, "abort").length;
}

/** What `act` comes to with a signal that nobody listens to any more by then, and that is aborted after that. */
async function abortedAfter<T>(act: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const stop = new AbortController();
  const result = await act(stop.signal);
  expect(listenersOf(stop.signal)).toBe(0);
  stop.abort();
  return result;
}

/** Settles once it was called with something that holds `text`. */
function waitFor(text: string): { readonly seen: Promise<void>; readonly take: (piece: Uint8Array) => void } {
  let found: () => void = () => undefined;
  const seen = new Promise<void>((resolve) => {
    found = resolve;
  });
  return { seen, take: (piece) => void (Buffer.from(piece).includes(text) && found()) };
}

/** The engine, with something that happens once it has made a container. */
function engineThat(afterCreate: () => void): Engine {
  return {
    ...engine,
    create: async (spec) => {
      const container = await engine.create(spec);
      afterCreate();
      return container;
    },
  };
}

describe("a signal of exec", () => {
  it("that is aborted before it starts nothing", async () => {
    await expect(sh("touch started", { signal: AbortSignal.abort() })).rejects.toMatchObject({ code: "INTERRUPTED" });
    await expect(box.read("started")).rejects.toMatchObject({ code: "NO_SUCH_FILE" });
  });

  it("that is aborted meanwhile ends the command with SIGTERM and nothing else", async () => {
    const stop = new AbortController();
    const ready = waitFor("ready");
    const other = sh("sleep 1; echo undisturbed");
    const running = sh("trap 'echo caught; exit 9' TERM; echo ready; while :; do sleep 0.05; done", {
      signal: stop.signal,
      onStdout: ready.take,
    });
    await ready.seen;
    stop.abort();
    expect(await running).toMatchObject({ reason: "interrupted", exit: { code: 9 }, stdout: { text: "ready\ncaught\n" } });
    expect((await other).stdout.text).toBe("undisturbed\n");
  });

  it("that is aborted afterwards changes nothing, and was let go of", async () => {
    const result = await abortedAfter((signal) => sh("echo done", { signal }));
    expect(result.reason).toBe("completed");
    expect((await sh("echo on")).stdout.text).toBe("on\n");
  });
});

describe("a signal of createSandbox", () => {
  it("that is aborted before makes no container", async () => {
    let made = 0;
    const counting = engineThat(() => (made += 1));
    await expect(createSandbox({ engine: counting, image, signal: AbortSignal.abort() })).rejects.toMatchObject({ code: "INTERRUPTED" });
    expect(made).toBe(0);
  });

  it("that is aborted while it opens gives the opening up and leaves nothing", async () => {
    const stop = new AbortController();
    const aborting = engineThat(() => stop.abort());
    await expect(createSandbox({ engine: aborting, image, signal: stop.signal })).rejects.toMatchObject({ code: "INTERRUPTED" });
    expect(await own()).toEqual([]);
    expect(listenersOf(stop.signal)).toBe(0);
  });

  it("that is aborted later closes the sandbox with all that runs in it", async () => {
    const stop = new AbortController();
    const ready = waitFor("ready");
    const given = await createSandbox({ engine, image, signal: stop.signal });
    const running = given.exec(["sh", "-c", "echo ready; sleep 1000"], { onStdout: ready.take });
    await ready.seen;
    stop.abort();
    expect(await running).toMatchObject({ reason: "interrupted" });
    expect(await given.ended).toMatchObject({ reason: "interrupted" });
    expect(await leftAfter(BOUND, () => containersOfRun(given.id))).toEqual([]);
    await expect(given.exec(["true"])).rejects.toMatchObject({ code: "SANDBOX_ENDED" });
    expect(await given.close()).toMatchObject({ destroyed: true });
  });

  it("that is aborted after the end changes nothing, and was let go of", async () => {
    const { given, closed } = await abortedAfter(async (signal) => {
      const open = await createSandbox({ engine, image, signal });
      return { given: open, closed: await open.close() };
    });
    expect(await given.close()).toEqual(closed);
  });
});

describe("a signal of runTask", () => {
  it("that is aborted before makes no container", async () => {
    let made = 0;
    const result = await task("echo started", { engine: engineThat(() => (made += 1)), signal: AbortSignal.abort() });
    expect(result).toMatchObject({ reason: "interrupted", exit: { code: null, signal: null }, stdout: { bytes: 0 } });
    expect(made).toBe(0);
  });

  it("that is aborted while the container is made leaves none", async () => {
    const stop = new AbortController();
    const result = await task("echo started", { engine: engineThat(() => stop.abort()), signal: stop.signal });
    expect(result).toMatchObject({ reason: "interrupted", destroyed: true, stdout: { bytes: 0 } });
    expect(await own()).toEqual([]);
  });

  it("that is aborted meanwhile asks the command to end with SIGTERM", async () => {
    const stop = new AbortController();
    const ready = waitFor("ready");
    const running = task("trap 'echo caught; exit 9' TERM; echo ready; while :; do sleep 0.05; done", {
      signal: stop.signal,
      onOutput: (_stream, piece) => ready.take(piece),
    });
    await ready.seen;
    stop.abort();
    expect(await running).toMatchObject({ reason: "interrupted", exit: { code: 9 }, stdout: { text: "ready\ncaught\n" }, destroyed: true });
  });

  it("that is aborted afterwards changes nothing, and was let go of", async () => {
    const result = await abortedAfter((signal) => task("echo done", { signal }));
    expect(result.reason).toBe("completed");
  });
});

describe("a signal of runBatch", () => {
  const tasks = [
    { id: "first", command: ["true"] },
    { id: "endless", command: ["sleep", "1000"] },
    { id: "late", command: ["true"] },
  ];

  it("that is aborted before starts nothing and makes no directory", async () => {
    await using place = await tempDirectory();
    const running = runBatch({ engine, image, tasks, out: place.join("out"), signal: AbortSignal.abort() });
    await expect(running).rejects.toMatchObject({ code: "INTERRUPTED" });
    await expect(stat(place.join("out"))).rejects.toMatchObject({ code: "ENOENT" });
  });

  it("that is aborted meanwhile ends what runs, starts nothing more, and is told in the summary; afterwards it means nothing", async () => {
    await using place = await tempDirectory();
    const stop = new AbortController();
    const summary = await runBatch({
      ...{ engine, image, tasks, jobs: 1, out: place.join("out"), signal: stop.signal },
      onEvent: (event) => {
        if (event.type === "started" && event.id === "endless") stop.abort();
      },
    });
    expect(summary.tasks.map(({ id, reason }) => [id, reason])).toEqual([
      ["first", "completed"],
      ["endless", "interrupted"],
      ["late", "not-run"],
    ]);
    expect(listenersOf(stop.signal)).toBe(0);
    expect(await leftAfter(BOUND, own)).toEqual([]);
  });
});

async function* pieces(...given: readonly (string | Uint8Array)[]): AsyncGenerator<string | Uint8Array> {
  for (const piece of given) yield await Promise.resolve(piece);
}

async function* breaking(): AsyncGenerator<string> {
  yield await Promise.resolve("a part\n");
  throw new Error("the source has gone");
}

/** Inputs are made anew for each use. */
const INPUTS: readonly (readonly [string, () => NonNullable<TaskOptions["stdin"]>])[] = [
  ["a string", () => "grüße"],
  ["a Buffer", () => Buffer.from("grüße")],
  ["bytes within others", () => new Uint8Array(Buffer.from("xxgrüßexx")).subarray(2, -2)],
  ["a Readable of bytes", () => Readable.from([Buffer.from("gr"), Buffer.from("üße")], { objectMode: false })],
  ["a Readable of objects", () => Readable.from(["gr", Buffer.from("üße")])],
  ["an async iterable", () => pieces("gr", Buffer.from("üße"))],
];

const BROKEN: readonly (readonly [string, () => AsyncIterable<string | Uint8Array>, string])[] = [
  ["an async iterable that throws", breaking, "The command's standard input can't be read: the source has gone."],
  [
    "a Readable that fails",
    () => Readable.from(breaking(), { objectMode: false }),
    "The command's standard input can't be read: the source has gone.",
  ],
  [
    "an iterable of something else",
    () => Readable.from(["a part\n", 5]),
    "The command's standard input can't be read: There is a number in it.",
  ],
];

describe("standard input", () => {
  it.each(INPUTS)("reaches a command of a sandbox from %s", async (_name, stdin) => {
    expect((await sh("cat; echo .", { stdin: stdin() })).stdout.text).toBe("grüße.\n");
  });

  it.each(INPUTS)("reaches the command of a task from %s", async (_name, stdin) => {
    expect((await task("cat; echo .", { stdin: stdin() })).stdout.text).toBe("grüße.\n");
  });

  it.each(BROKEN)("from %s ends a command of a sandbox, which never takes a part for the whole", async (_name, stdin, detail) => {
    const result = await sh("rm -f whole; cat > /tmp/part; touch whole", { stdin: stdin() });
    expect(result).toMatchObject({ reason: "failed", detail, exit: { signal: "SIGTERM" } });
    await expect(box.read("whole")).rejects.toMatchObject({ code: "NO_SUCH_FILE" });
    expect((await sh("echo on")).stdout.text).toBe("on\n");
  });

  it.each(BROKEN)("from %s ends a task", async (_name, stdin, detail) => {
    const result = await task("cat > /tmp/part; echo whole", { stdin: stdin() });
    expect(result).toMatchObject({ reason: "failed", detail, error: { code: "INPUT_BROKEN" }, stdout: { bytes: 0 }, destroyed: true });
  });

  it("that a command has not read to its end is let go of: an iterable is ended, a caller's stream stays open", async () => {
    let ended: () => void = () => undefined;
    const over = new Promise<void>((resolve) => {
      ended = resolve;
    });
    async function* endless(): AsyncGenerator<string> {
      try {
        for (;;) yield await Promise.resolve("x".repeat(65_536));
      } finally {
        ended();
      }
    }
    expect(await sh("head -c 1 > /dev/null", { stdin: endless() })).toMatchObject({ reason: "completed" });
    await over;
    const stream = new PassThrough();
    stream.write("unread");
    expect(await sh("true", { stdin: stream })).toMatchObject({ reason: "completed" });
    expect(stream.destroyed).toBe(false);
  });
});

describe("a callback that throws", () => {
  it.each([
    ["an error", () => new Error("the disk is full")],
    ["an error of a sandbox, as from a command within it", () => new SandboxError("NO_SUCH_FILE", "the disk is full", "")],
  ])("%s ends its command, and the sandbox goes on", async (_name, error) => {
    for (const [stream, script] of [
      ["stdout", "echo said; sleep 1000"],
      ["stderr", "echo said >&2; sleep 1000"],
    ] as const) {
      const take = (): void => {
        throw error();
      };
      const result = await sh(script, stream === "stdout" ? { onStdout: take } : { onStderr: take });
      expect(result).toMatchObject({ reason: "failed", detail: `The command's ${stream} can't be written: the disk is full.` });
      expect(result[stream].text).toBe("said\n");
    }
    expect((await sh("echo on")).stdout.text).toBe("on\n");
  });

  it("later, in its promise, ends its command as well", async () => {
    const result = await sh("echo said; sleep 1000", { onStdout: () => Promise.reject(new Error("the disk is full")) });
    expect(result).toMatchObject({ reason: "failed", exit: { signal: "SIGTERM" } });
  });

  it("ends a task, with what it threw in the result", async () => {
    const result = await task("echo said; sleep 1000", {
      onOutput: () => {
        throw new Error("the disk is full");
      },
    });
    expect(result).toMatchObject({
      reason: "failed",
      error: { code: "OUTPUT_BROKEN", message: expect.stringContaining("the disk is full") },
    });
    expect(result.destroyed).toBe(true);
  });
});

/** Uses of a sandbox's functions as in a program that no compiler has looked at, and what is said about them. */
const MISUSES: readonly (readonly ["exec" | "write" | "read" | "list", readonly unknown[], message: string, hint: string])[] = [
  ["exec", [["true"], { stdn: "x" }], '"stdn" is not an option of exec.', "Write stdin, or leave it out."],
  [
    "exec",
    [["true"], { colour: true }],
    '"colour" is not an option of exec.',
    "Choose from: stdin, env, cwd, signal, timeout, killAfter, maxOutput, onStdout, onStderr, terminal.",
  ],
  [
    "exec",
    [["true"], { timeout: 5 }],
    "The option timeout of exec is the number 5, where a text belongs.",
    "Give it a text, or leave it out.",
  ],
  [
    "exec",
    [["true"], { stdin: ["x"] }],
    "The option stdin of exec is a list, where a text, bytes, or a stream of them belongs.",
    "Give it a text, bytes, or a stream of them, or leave it out.",
  ],
  [
    "exec",
    [["true"], { terminal: { rows: 1 } }],
    "The option terminal of exec is an object in which columns is missing, where a terminal's size belongs.",
    "Give it a terminal's size, or leave it out.",
  ],
  ["exec", ["true"], "The command of exec is a text, where a list of texts belongs.", "Give it a list of texts."],
  [
    "exec",
    [["echo", 1]],
    "The command of exec is a list in which [1] is the number 1, where a list of texts belongs.",
    "Give it a list of texts.",
  ],
  ["write", ["a", "b", { mod: 1 }], '"mod" is not an option of write.', "Write mode, or leave it out."],
  ["read", ["a", { maxbytes: 1 }], '"maxbytes" is not an option of read.', "Write maxBytes, or leave it out."],
  [
    "list",
    [".", { recursive: 1 }],
    "The option recursive of list is the number 1, where true or false belongs.",
    "Give it true or false, or leave it out.",
  ],
];

describe("what the functions of an open sandbox are given", () => {
  it("is held to what it can be before anything runs", async () => {
    const given = await createSandbox({ engine, image });
    for (const [name, args, message, hint] of MISUSES) {
      const use: unknown = Reflect.get(given, name);
      const called: unknown = typeof use === "function" ? Reflect.apply(use, given, args) : undefined;
      await expect(called).rejects.toMatchObject({ name: "SandboxError", code: "USAGE", message, hint });
    }
    await given.close();
    const types: string[] = [];
    for await (const { type } of given.events) types.push(type);
    expect(types).toEqual(["run.started", "sandbox.created", "sandbox.started", "sandbox.destroyed"]);
  });
});

describe("await using", () => {
  it("closes the sandbox at the end of its scope, however that is left", async () => {
    const ids: string[] = [];
    const scope = async (fail: boolean): Promise<void> => {
      await using scoped = await createSandbox({ engine, image });
      ids.push(scoped.id);
      expect(await containersOfRun(scoped.id)).toHaveLength(1);
      void scoped.exec(["sleep", "1000"]).catch(() => undefined);
      if (fail) throw new Error("left early");
    };
    await scope(false);
    await expect(scope(true)).rejects.toThrow("left early");
    for (const id of ids) expect(await containersOfRun(id)).toEqual([]);
  });
});
