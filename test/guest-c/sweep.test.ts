import { execFileSync } from "node:child_process";
import { chmodSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { Type, u32 } from "./codec.ts";
import { type GuestOptions, type GuestProcess, installGuest, startGuest } from "./guest-process.ts";

const KILL = 9;
const LOOK = 'for each in /proc/[0-9]*; do tr "\\0" " " <$each/cmdline; echo; done 2>/dev/null';

const installed = installGuest();
let program: string;

beforeAll(() => {
  program = join(installed.folder, "escape");
  const source = join(import.meta.dirname, "..", "lab", "programs", "escape.c");
  execFileSync("cc", ["-std=c11", "-Wall", "-Wextra", "-o", program, source]);
  chmodSync(program, 0o755);
}, 60_000);

/** Starts a command, and returns its stream and first process once it is what it wants to be. */
async function start(guest: GuestProcess, ...words: readonly string[]) {
  const stream = guest.exec([program, ...words]);
  const [started] = [await guest.expect(stream, Type.STARTED), await guest.expect(stream, Type.DATA)];
  return { stream, pid: String(started.payload.readUInt32BE(0)) };
}

async function sweep(guest: GuestProcess, stream: number): Promise<void> {
  guest.send(0, Type.SWEEP, u32(stream));
  expect((await guest.expect(0, Type.SWEPT)).payload.readUInt32BE(0)).toBe(stream);
}

/** The markers of all processes that escape.c has left, each once. */
async function markers(guest: GuestProcess): Promise<readonly string[]> {
  const lines = (await guest.sh(LOOK)).stdout.split("\n").filter((line) => line.startsWith(`${program} `));
  return [...new Set(lines.map((line) => line.split(" ")[2] ?? ""))].sort();
}

/** A server that a command left behind on purpose, and two commands that run. */
async function startWithNeighbours(options: GuestOptions = {}) {
  const guest = await startGuest(installed.path, options);
  const server = await start(guest, "daemon", "server");
  guest.send(server.stream, Type.SIGNAL, Buffer.from([KILL]));
  await guest.expect(server.stream, Type.EXIT);
  const before = await start(guest, "stay", "before");
  const after = await start(guest, "stay", "beside");
  const begin = (way: string) => start(guest, way, "swept", before.pid, after.pid);
  return { guest, begin, [Symbol.asyncDispose]: () => guest[Symbol.asyncDispose]() };
}

const KEPT = ["before", "beside", "last", "server"];
const DAEMONS = ["daemon", "imitate", "lower-all", "lower-rss", "lower-locks"];

describe("a sweep", () => {
  test.each([...DAEMONS, "stay", "stubborn", "relay"])("leaves nothing of a command with %s, and all of the others", async (way) => {
    await using place = await startWithNeighbours();
    const { guest } = place;
    const { stream } = await place.begin(way);
    await start(guest, "stay", "last");
    expect(await markers(guest)).toEqual([...KEPT, "swept"]);
    await sweep(guest, stream);
    expect(await markers(guest)).toEqual(KEPT);
    // The end of its first process was told before.
    expect(guest.heard().some((frame) => frame.stream === stream && frame.type === Type.EXIT)).toBe(true);
  });

  test("leaves nothing of a fork bomb, and all of the others", async () => {
    await using place = await startWithNeighbours({ limits: ["--nproc=300"] });
    const { guest } = place;
    const { stream } = await place.begin("bomb");
    await sweep(guest, stream);
    expect(await markers(guest)).toEqual(["before", "beside", "server"]);
  });

  test("comes to its end beside commands whose processes come and go", async () => {
    await using guest = await startGuest(installed.path);
    const busy = Array.from({ length: 4 }, () => guest.exec(["sh", "-c", "echo begun; while :; do (:); done"]));
    for (const stream of busy) await guest.expect(stream, Type.DATA);
    for (let times = 0; times < 20; times += 1) {
      const { stream } = await start(guest, "daemon", "swept");
      await sweep(guest, stream);
    }
    expect(await markers(guest)).toEqual([]);
    expect(guest.heard().filter((frame) => busy.includes(frame.stream) && frame.type === Type.EXIT)).toEqual([]);
  });

  test.each(DAEMONS)("is what it takes: with %s it outlives the end of its command and its group", async (way) => {
    await using place = await startWithNeighbours();
    const { guest } = place;
    const { stream } = await place.begin(way);
    await start(guest, "stay", "last");
    guest.send(stream, Type.SIGNAL, Buffer.from([KILL]));
    await guest.expect(stream, Type.EXIT);
    expect(await markers(guest)).toEqual([...KEPT, "swept"]);
    await sweep(guest, stream);
    expect(await markers(guest)).toEqual(KEPT);
  });

  test("of one command leaves what an earlier one started with a lower RLIMIT_RSS, as `ulimit -m` does", async () => {
    await using guest = await startGuest(installed.path);
    await start(guest, "lower-rss", "server");
    const later = await start(guest, "stay", "later");
    await sweep(guest, later.stream);
    expect(await markers(guest)).toEqual(["server"]);
  });

  test("of a command that could not be started, or ended long ago, is answered too", async () => {
    await using guest = await startGuest(installed.path);
    const streams = [guest.exec(["/nowhere"]), guest.exec(["true"])];
    for (const stream of streams) await guest.outcome(stream);
    for (const stream of streams) await sweep(guest, stream);
  });

  test("of a command that just begins ends it", async () => {
    await using guest = await startGuest(installed.path);
    const stream = guest.exec([program, "daemon", "swept"]);
    await sweep(guest, stream);
    expect((await guest.expect(stream, Type.EXIT)).payload[1]).toBe(KILL);
    expect(await markers(guest)).toEqual([]);
  });
});

describe("where a limit is not free to carry numbers", () => {
  const fixed = (...names: readonly string[]) => ({ limits: names.map((name) => `--${name}=10000`) });

  test.each([[["rss"]], [["locks"]], [["rttime"]], [["rss", "nproc"]]])("another one does: %j", async (names) => {
    await using place = await startWithNeighbours(fixed(...names));
    const { stream } = await place.begin("imitate");
    await sweep(place.guest, stream);
    expect(await markers(place.guest)).toEqual(["before", "beside", "server"]);
  });

  test("and but one is left, a sweep spares only what lowered that one", async () => {
    await using place = await startWithNeighbours(fixed("rss", "locks", "nproc"));
    const daemon = await place.begin("daemon");
    await sweep(place.guest, daemon.stream);
    expect(await markers(place.guest)).toEqual(["before", "beside", "server"]);
    const forger = await place.begin("lower-all");
    await sweep(place.guest, forger.stream);
    expect(await markers(place.guest)).toEqual(["before", "beside", "server", "swept"]);
  });

  test("and none is left, a sweep ends the process group alone", async () => {
    await using place = await startWithNeighbours(fixed("rss", "locks", "rttime", "nproc"));
    const { stream } = await place.begin("daemon");
    await sweep(place.guest, stream);
    expect(await markers(place.guest)).toEqual(["before", "beside", "server", "swept"]);
  });
});

test("a command that takes the limits from the guest keeps others from being started without a number", async () => {
  await using guest = await startGuest(installed.path);
  await guest.run(["prlimit", "--pid", "1", "--locks=1000"]);
  const { failed } = await guest.run(["true"]);
  expect([failed?.[0], failed?.readUInt32BE(4)]).toEqual([1, 1]); // resources, EPERM
});
