import { EventEmitter, once } from "node:events";
import { chmod, writeFile } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Engine } from "../../src/engine/port.ts";
import { createSandbox } from "../../src/sdk/create-sandbox.ts";
import { containersOfRun, dockerCli, processesIn } from "../lab/engine-api.ts";
import { TEST_IMAGES } from "../lab/images.ts";
import { type CallOptions, openMcp } from "../lab/mcp.ts";
import { openProductEngine } from "../lab/product-engine.ts";
import { compile } from "../lab/rootfs.ts";
import { type TempDirectory, tempDirectory } from "../lab/temp-directory.ts";

const KILL_AFTER = "300ms";

/** What leaves its process group: a double fork in a session of its own without descriptors, which then also changes its limits. */
const DAEMONS = ["daemon", "imitate", "lower-all", "lower-rss", "lower-locks"];
const STUBBORN = [...DAEMONS, "stubborn"];

let engine: Engine;
let directory: TempDirectory;

beforeAll(async () => {
  engine = await openProductEngine();
  directory = await tempDirectory();
  await writeFile(directory.join("escape"), await compile("escape", ["-static"]), { mode: 0o755 });
  await chmod(directory.path, 0o755);
});

afterAll(async () => {
  await directory[Symbol.asyncDispose]();
  engine.close();
});

/** A way to give commands to one sandbox. */
type Door = AsyncDisposable & {
  readonly id: string;
  /** What a script prints. */
  sh(script: string): Promise<string>;
  /** Starts a command; settles once it says `ready`. */
  begin(argv: readonly string[]): Promise<Begun>;
};

/** Settles when the cancellation is done. */
type Begun = { readonly cancel: () => Promise<unknown> };

async function openLibrary(runtime?: string): Promise<Door> {
  const options = { engine, image: TEST_IMAGES.busybox, memory: "128m", workspace: directory.path, killAfter: KILL_AFTER };
  const box = await createSandbox({ ...options, ...(runtime === undefined ? {} : { runtime }) });
  return {
    id: box.id,
    sh: async (script) => (await box.exec(["sh", "-c", script])).stdout.text ?? "",
    begin: async (argv) => {
      const abort = new AbortController();
      let result: Promise<unknown> = Promise.resolve();
      await new Promise<void>((resolve, reject) => {
        result = box.exec(argv, { signal: abort.signal, onStdout: () => resolve() });
        result.catch(reject);
      });
      return {
        cancel: () => {
          abort.abort();
          return result;
        },
      };
    },
    [Symbol.asyncDispose]: () => box[Symbol.asyncDispose](),
  };
}

/** A call that is cancelled has no answer, but the server says when it is done with it. */
async function openServer(): Promise<Door> {
  const log = new EventEmitter();
  const onLog = (text: string): void => {
    for (const _ of text.matchAll(/ of run_command was cancelled after /g)) log.emit("cancelled");
  };
  const session = await openMcp(["--workspace", directory.path, "--kill-after", KILL_AFTER], { onLog });
  const { sandbox: id = "" } = await session.ask("run_command", { argv: ["true"] });
  return {
    id,
    sh: async (script) => (await session.ask("run_command", { script })).stdout?.text ?? "",
    begin: async (argv) => {
      const abort = new AbortController();
      await new Promise<void>((resolve, reject) => {
        const onprogress: CallOptions["onprogress"] = ({ message }) => {
          if (message?.includes("of output") === true) resolve();
        };
        session.call("run_command", { argv }, { signal: abort.signal, onprogress }).catch(reject);
      });
      return {
        cancel: () => {
          const done = once(log, "cancelled");
          abort.abort();
          return done;
        },
      };
    },
    [Symbol.asyncDispose]: () => session[Symbol.asyncDispose](),
  };
}

/** Command lines as the engine tells them: those with the marker, and those of the dying and the dead, which stand in brackets. */
async function processesWith(sandbox: string, marker: string): Promise<readonly string[]> {
  return (await processesIn(sandbox)).filter((line) => line.includes(marker) || line.startsWith("["));
}

/** The processes that escape.c has left, by their markers. */
async function escaped(door: Door): Promise<ReadonlyMap<string, string>> {
  const look = 'for each in /proc/[0-9]*; do echo "$each $(tr "\\0" " " <$each/cmdline)"; done 2>/dev/null';
  const lines = (await door.sh(look)).split("\n").map((line) => line.split(" "));
  const ours = lines.filter(([, program]) => program === "./escape");
  return new Map(ours.map(([path = "", , , marker = ""]) => [marker, path.slice("/proc/".length)]));
}

async function markers(door: Door): Promise<readonly string[]> {
  return [...(await escaped(door)).keys()].sort();
}

/** A call that comes to its own end and leaves what it started. */
function leave(door: Door, way: string, marker: string): Promise<string> {
  return door.sh(`mkfifo ${marker}; ./escape ${way} ${marker} >${marker} & read -r word <${marker}; kill -KILL $!; rm ${marker}`);
}

/** Cancels a call beside others, and answers which of all are left. */
async function cancelBeside(door: Door, way: string): Promise<readonly string[]> {
  await leave(door, "daemon", "server");
  const before = await door.begin(["./escape", "stay", "before"]);
  const pids = [...(await escaped(door)).values()];
  const { cancel } = await door.begin(["./escape", way, "cancelled", ...pids]);
  // A bomb leaves no room for another one.
  const last = way === "bomb" ? before : await door.begin(["./escape", "stay", "last"]);
  await cancel();
  const left = await markers(door);
  await Promise.all([before.cancel(), last.cancel()]);
  return left;
}

describe.each([
  ["the library", () => openLibrary(), [...STUBBORN, "relay"]],
  ["the MCP server", openServer, [...STUBBORN, "relay"]],
  ["the library under gVisor", () => openLibrary("runsc"), STUBBORN],
] as const)("a call of %s that is cancelled", (_name, open, ways) => {
  it.each(ways)("leaves nothing by way of %s, and what others left or run lives on", async (way) => {
    await using door = await open();
    expect(await cancelBeside(door, way)).toEqual(["before", "last", "server"]);
  });

  it("would leave all of these if it came to its own end", async () => {
    await using door = await open();
    for (const way of DAEMONS) await leave(door, way, way);
    expect(await markers(door)).toEqual([...DAEMONS].sort());
  });
});

describe.each([
  ["the library", () => openLibrary()],
  ["the MCP server", openServer],
] as const)("a fork bomb as a call of %s", (_name, open) => {
  it("is outrun when it is cancelled, and what others left or run lives on", async () => {
    await using door = await open();
    expect(await cancelBeside(door, "bomb")).toEqual(["before", "server"]);
    expect(await processesWith(door.id, "cancelled")).toEqual([]);
  });
});

describe("processes that hand over to children, under gVisor, where nothing limits their number,", () => {
  it("are gone when their call was cancelled, if need be with the whole sandbox", async () => {
    await using door = await openLibrary("runsc");
    const { cancel } = await door.begin(["./escape", "relay", "cancelled"]);
    expect(await markers(door)).toEqual(["cancelled"]);
    await cancel();
    const left = await markers(door).catch(() => containersOfRun(door.id));
    expect(left).toEqual([]);
  });
});

describe("a command of the library", () => {
  it("that runs too long leaves nothing either, though its first process ends at once", async () => {
    await using box = await createSandbox({ engine, image: TEST_IMAGES.busybox, workspace: directory.path });
    const result = await box.exec(["./escape", "daemon", "late"], { timeout: "300ms" });
    expect(result).toMatchObject({ reason: "timeout", exit: { code: null, signal: "SIGTERM" } });
    expect(await processesWith(box.id, "late")).toEqual([]);
  });

  it("that has come to its end leaves nothing when it is given up before it is answered", async () => {
    await using box = await createSandbox({ engine, image: TEST_IMAGES.busybox, workspace: directory.path });
    const abort = new AbortController();
    let release: () => void = () => undefined;
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    const script = "mkfifo f; ./escape daemon late >f & read -r word <f; kill -KILL $!; echo $$";
    let result: Promise<unknown> = Promise.resolve();
    const pid = await new Promise<string>((resolve, reject) => {
      const onStdout = (piece: Uint8Array): Promise<void> => {
        resolve(String(Buffer.from(piece)).trim());
        return held;
      };
      result = box.exec(["sh", "-c", script], { signal: abort.signal, onStdout });
      result.catch(reject);
    });
    await box.exec(["sh", "-c", `while kill -0 ${pid} 2>/dev/null; do sleep 0.01; done`]);
    expect(await processesWith(box.id, "late")).toHaveLength(1);
    abort.abort();
    release();
    expect(await result).toMatchObject({ reason: "interrupted", exit: { code: 0, signal: null } });
    expect(await processesWith(box.id, "late")).toEqual([]);
  });

  it("that can't be ended, because the sandbox is frozen, ends with the whole sandbox", async () => {
    await using box = await createSandbox({ engine, image: TEST_IMAGES.busybox, workspace: directory.path, killAfter: KILL_AFTER });
    const abort = new AbortController();
    let result: Promise<unknown> = Promise.resolve();
    await new Promise<void>((resolve, reject) => {
      result = box.exec(["./escape", "stay", "frozen"], { signal: abort.signal, onStdout: () => resolve() });
      result.catch(reject);
    });
    await dockerCli(["pause", `sandbox-${box.id}`]);
    abort.abort();
    expect(await result).toMatchObject({ reason: "interrupted", exit: { code: null, signal: null } });
    expect(await containersOfRun(box.id)).toEqual([]);
    expect(await box.ended).toMatchObject({ reason: "failed", error: { code: "GUEST_LOST" } });
  });
});
