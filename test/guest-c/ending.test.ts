import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { encodeFrame, strings, Type, u16, u32 } from "./codec.ts";
import { GUEST_WINDOW, installGuest, startGuest } from "./guest-process.ts";

const installed = installGuest();

/** Command lines of all processes of this machine, as seen from outside the guest's namespace. */
function commandLines(): readonly string[] {
  const pids = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  return pids.map((pid) => {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, "latin1");
    } catch {
      return ""; // it has ended since the listing
    }
  });
}

describe("quiesce", () => {
  test("leaves no process but the guest, whatever they did to survive, and says so after their ends", async () => {
    await using guest = await startGuest(installed.path);
    const stubborn = guest.exec([
      "sh",
      "-c",
      "trap '' TERM HUP INT; (setsid sh -c 'sleep 1000 & sleep 1000' &); echo ready; while :; do sleep 1; done",
    ]);
    await guest.expect(stubborn, Type.DATA);
    guest.send(0, Type.QUIESCE);
    await guest.expect(0, Type.QUIESCED);
    for (const stream of [stubborn, stubborn + 1]) await guest.expect(stream, Type.EOF);
    const heard = guest.heard().filter((frame) => frame.stream === stubborn || frame.stream === stubborn + 1);
    expect(heard.map((frame) => frame.type).sort()).toEqual([Type.STARTED, Type.EXIT]);
    expect([...(heard.find((frame) => frame.type === Type.EXIT)?.payload ?? [])].slice(0, 2)).toEqual([1, 9]);
    const left = (await guest.sh("echo /proc/[0-9]*; echo $$")).stdout.split("\n");
    expect(left[0]).toBe(`/proc/1 /proc/${left[1]}`);
  });

  test("waits for no reader: what was written before is delivered afterwards", async () => {
    await using guest = await startGuest(installed.path, { window: 4_096 });
    const stream = guest.exec(["sh", "-c", "head -c 20000 /dev/zero; echo written >&2; exec sleep 1000"]);
    await guest.expect(stream + 1, Type.DATA);
    const first = await guest.expect(stream, Type.DATA);
    guest.send(0, Type.QUIESCE);
    await guest.expect(0, Type.QUIESCED);
    guest.send(stream, Type.CREDIT, u32(20_000));
    const rest = await guest.expect(stream, Type.DATA);
    await guest.expect(stream, Type.EOF);
    expect(first.payload.length + rest.payload.length).toBe(20_000);
  });

  test("ends a fork bomb", async () => {
    await using guest = await startGuest(installed.path, { limits: ["--nproc=300"] });
    const bomb = guest.exec(["sh", "-c", "bomb() { bomb | bomb & }; echo ready; bomb 2>/dev/null; while :; do bomb 2>/dev/null; done"]);
    await guest.expect(bomb, Type.DATA);
    guest.send(0, Type.QUIESCE);
    await guest.expect(0, Type.QUIESCED);
    expect((await guest.sh("set -- /proc/[0-9]*; echo $#")).stdout).toBe("2\n");
  });

  test("is over before what is asked behind it is counted, and what is asked ahead of it is not kept waiting", async () => {
    await using guest = await startGuest(installed.path);
    const command = guest.exec(["sh", "-c", "echo ready; exec sleep 1000"]);
    await guest.expect(command, Type.DATA);
    const asked = [Type.STATS_REQUEST, Type.QUIESCE, Type.STATS_REQUEST, Type.STATS_REQUEST];
    guest.sendBytes(Buffer.concat(asked.map((type) => encodeFrame(0, type))));
    const answers: number[] = [];
    while (answers.length < asked.length) answers.push((await guest.next(({ stream }) => stream === 0)).type);
    expect(answers).toEqual([Type.STATS, Type.QUIESCED, Type.STATS, Type.STATS]);
  });

  test("is answered once for each time it was asked, also with nothing to do", async () => {
    await using guest = await startGuest(installed.path);
    guest.send(0, Type.QUIESCE);
    guest.send(0, Type.QUIESCE);
    await guest.expect(0, Type.QUIESCED);
    await guest.expect(0, Type.QUIESCED);
    await guest.ping();
    expect(guest.heard()).toEqual([]);
  });
});

describe("the end of the pipe", () => {
  test("ends every process and then the guest, with 0", async () => {
    const guest = await startGuest(installed.path);
    const marker = `1000.${process.pid}`;
    const stream = guest.exec(["sh", "-c", `(setsid sleep ${marker} &); echo ready; sleep ${marker}; :`]);
    await guest.expect(stream, Type.DATA);
    expect(commandLines().filter((line) => line.includes(marker)).length).toBeGreaterThan(0);
    guest.end();
    expect(await guest.ended).toBe(0);
    expect(commandLines().filter((line) => line.includes(marker))).toEqual([]);
  });
});

describe("a host that breaks the rules is told and left, with 70:", () => {
  const welcome = encodeFrame(0, Type.WELCOME, Buffer.concat([u16(1, 0), u32(65_536)]));
  const command = (stream: number, flags = 0): Buffer =>
    Buffer.concat([
      encodeFrame(stream, Type.EXEC_BODY, strings("/", "sleep", "1000", "PATH=/usr/bin:/bin")),
      encodeFrame(stream, Type.EXEC, Buffer.concat([Buffer.from([flags, 0]), u16(0, 0), u32(2, 1)])),
    ]);
  const unpack = encodeFrame(1, Type.UNPACK, strings("/tmp"));
  const data = (stream: number, bytes: number): Buffer => encodeFrame(stream, Type.DATA, Buffer.alloc(bytes));

  test.each<[string, readonly Buffer[]]>([
    ["a frame before WELCOME", [encodeFrame(0, Type.PING, Buffer.alloc(8))]],
    ["another version", [encodeFrame(0, Type.WELCOME, Buffer.concat([u16(2, 0), u32(65_536)]))]],
    ["a window that is too small", [encodeFrame(0, Type.WELCOME, Buffer.concat([u16(1, 0), u32(4_095)]))]],
    [
      "seventeen directories to watch",
      [encodeFrame(0, Type.WELCOME, Buffer.concat([u16(1, 0), u32(65_536), strings(...Array<string>(17).fill("/tmp"))]))],
    ],
    ["a second WELCOME", [welcome, welcome]],
    ["a payload that is too long", [welcome, Buffer.from([0, 0, 0, 0, Type.PING, 1, 0, 1])]],
    ["a type that nobody knows", [welcome, encodeFrame(0, 0x7f)]],
    ["a type of the guest", [welcome, encodeFrame(0, Type.PONG, Buffer.alloc(8))]],
    ["PING of another length", [welcome, encodeFrame(0, Type.PING, Buffer.alloc(7))]],
    ["data on a stream that was never opened", [welcome, data(1, 1)]],
    ["an id of the guest's", [welcome, encodeFrame(0x80000001, Type.UNPACK, strings("/tmp"))]],
    ["the last id for a command, which takes two", [welcome, encodeFrame(0x7fffffff, Type.EXEC_BODY, strings("/"))]],
    ["an id that was used before", [welcome, command(1), encodeFrame(1, Type.UNPACK, strings("/tmp"))]],
    ["the second id of a command", [welcome, command(1), encodeFrame(2, Type.EXEC_BODY, strings("/"))]],
    [
      "a command whose strings do not agree with its counts",
      [welcome, encodeFrame(1, Type.EXEC_BODY, strings("/", "a")), encodeFrame(1, Type.EXEC, Buffer.concat([Buffer.alloc(6), u32(2, 0)]))],
    ],
    ["a command longer than 1 MiB", [welcome, ...Array<Buffer>(17).fill(encodeFrame(1, Type.EXEC_BODY, Buffer.alloc(65_536)))]],
    [
      "a signal for a command that is not complete",
      [welcome, encodeFrame(1, Type.EXEC_BODY, strings("/")), encodeFrame(1, Type.SIGNAL, Buffer.from([9]))],
    ],
    ["signal number 0", [welcome, command(1), encodeFrame(1, Type.SIGNAL, Buffer.from([0]))]],
    ["signal number 65", [welcome, command(1), encodeFrame(1, Type.SIGNAL, Buffer.from([65]))]],
    ["RESIZE without a terminal", [welcome, command(1), encodeFrame(1, Type.RESIZE, u16(1, 1))]],
    ["data for a command without standard input", [welcome, command(1), data(1, 1)]],
    ["data on standard error", [welcome, command(1, 2), data(2, 1)]],
    ["data beyond its credit", [welcome, command(1, 2), ...Array<Buffer>(GUEST_WINDOW / 65_536 + 3).fill(data(1, 65_536))]],
    ["empty data", [welcome, command(1, 2), data(1, 0)]],
    ["data after EOF", [welcome, command(1, 2), encodeFrame(1, Type.EOF), data(1, 1)]],
    ["a second EOF", [welcome, command(1, 2), encodeFrame(1, Type.EOF), encodeFrame(1, Type.EOF)]],
    ["credit beyond 2^31-1", [welcome, command(1), encodeFrame(1, Type.CREDIT, u32(0x7fffffff))]],
    ["credit of another length", [welcome, command(1), encodeFrame(1, Type.CREDIT, Buffer.alloc(3))]],
    ["credit for an unpack, which sends no data", [welcome, unpack, encodeFrame(1, Type.CREDIT, u32(1))]],
    [
      "data for a pack",
      [welcome, encodeFrame(1, Type.PACK, strings("/proc", "self/mem")), encodeFrame(3, Type.PACK, strings("/usr", ".")), data(3, 1)],
    ],
    ["a pack of nothing", [welcome, encodeFrame(1, Type.PACK, strings("/tmp"))]],
    ["SWEEP of a command that was never opened", [welcome, command(1), encodeFrame(0, Type.SWEEP, u32(3))]],
    ["SWEEP of nothing", [welcome, encodeFrame(0, Type.SWEEP, u32(0))]],
    ["SWEEP of another length", [welcome, command(1), encodeFrame(0, Type.SWEEP, u32(1, 1))]],
    ["KNOCK after WELCOME", [welcome, encodeFrame(0, Type.KNOCK)]],
    ["KNOCK with a payload", [encodeFrame(0, Type.KNOCK, Buffer.alloc(1))]],
  ])("%s", async (_, frames) => {
    const guest = await startGuest(installed.path, { welcome: false });
    guest.sendBytes(Buffer.concat([...frames]));
    const fault = await guest.expect(0, Type.FAULT);
    expect(fault.payload.readUInt32BE(0)).toBe(71); // EPROTO
    expect(fault.payload.length).toBeGreaterThan(4);
    expect(await guest.ended).toBe(70);
  });
});

test("frames for a stream that has ended are ignored", async () => {
  await using guest = await startGuest(installed.path);
  const stream = guest.exec(["true"], { stdin: true });
  await guest.outcome(stream);
  for (const type of [Type.DATA, Type.EOF, Type.STOP, Type.CREDIT, Type.SIGNAL, Type.RESIZE]) guest.send(stream, type, u32(9));
  for (const type of [Type.STOP, Type.CREDIT]) guest.send(stream + 1, type, u32(9));
  await guest.ping();
});

test("a host that missed the guest's first words knocks, and gets them again", async () => {
  const guest = await startGuest(installed.path, { welcome: false });
  guest.sendBytes(Buffer.concat([encodeFrame(0, Type.KNOCK), encodeFrame(0, Type.KNOCK)]));
  for (let times = 0; times < 2; times += 1) expect((await guest.expect(0, Type.HELLO)).payload.toString("latin1", 0, 4)).toBe("BJAR");
});
