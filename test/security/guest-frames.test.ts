import { once } from "node:events";
import { describe, expect, it } from "vitest";
import type { SandboxError } from "../../src/core/errors.ts";
import { encodeHeader, encodeU32, FrameType } from "../../src/guest/frame.ts";
import { openSession, type Session } from "../../src/guest/session.ts";
import { createHostileGuest, type HostileGuest } from "../lab/hostile-guest.ts";

/** What the host lets a guest send ahead on one stream. */
const WINDOW = 786_432;
const REQUEST = { argv: ["true"], env: {}, cwd: "/", stdin: true, terminal: undefined } as const;

async function shakeHands(guest: HostileGuest): Promise<Session> {
  guest.hello();
  return openSession(guest.pipe, { watch: [] });
}

/** What the host makes of a guest that sends this after a proper handshake and the start of one command on streams 1 and 2. */
async function verdictOn(attack: (guest: HostileGuest, session: Session) => void): Promise<SandboxError> {
  await using guest = await createHostileGuest();
  const session = await shakeHands(guest);
  session.exec(REQUEST);
  await guest.expect(FrameType.EXEC);
  attack(guest, session);
  return await session.lost;
}

const started = (guest: HostileGuest): void => guest.frame(1, FrameType.STARTED, encodeU32(7));
const exit = (): Buffer => Buffer.alloc(28);

describe("a guest that keeps to the protocol", () => {
  it("is believed: its command starts, writes and exits", async () => {
    await using guest = await createHostileGuest();
    const session = await shakeHands(guest);
    const command = session.exec(REQUEST);
    await guest.expect(FrameType.EXEC);
    started(guest);
    guest.frame(1, FrameType.DATA, Buffer.from("out"));
    guest.frame(2, FrameType.DATA, Buffer.from("err"));
    guest.frame(1, FrameType.EXIT, exit());
    guest.frame(1, FrameType.EOF);
    guest.frame(2, FrameType.EOF);
    expect(await command.started).toEqual({ pid: 7 });
    expect((await command.exited).code).toBe(0);
    expect(String(Buffer.concat(await command.stdout.toArray()))).toBe("out");
    expect(String(Buffer.concat(await command.stderr.toArray()))).toBe("err");
  });
});

describe("before the handshake", () => {
  const openings: readonly [string, (guest: HostileGuest) => void][] = [
    ["no magic", (guest) => guest.frame(0, FrameType.HELLO, Buffer.alloc(12))],
    ["a HELLO that is too short", (guest) => guest.frame(0, FrameType.HELLO, Buffer.from("BJAR"))],
    ["another version", (guest) => guest.frame(0, FrameType.HELLO, Buffer.from("424a415200090000" + "00040000", "hex"))],
    ["a window of nothing", (guest) => guest.hello(0)],
    ["a window of 4 GiB", (guest) => guest.hello(0xffff_ffff)],
    ["STATS first", (guest) => guest.frame(0, FrameType.STATS)],
    ["DATA on a stream first", (guest) => guest.frame(1, FrameType.DATA, Buffer.from("x"))],
    ["text instead of frames", (guest) => void guest.socket.write("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")],
  ];
  it.each(openings)("%s is refused as a violation", async (_name, open) => {
    await using guest = await createHostileGuest();
    open(guest);
    await expect(openSession(guest.pipe, { watch: [] })).rejects.toMatchObject({ code: "GUEST_PROTOCOL" });
  });

  it("a HELLO that got lost on the way is asked for again", async () => {
    await using guest = await createHostileGuest();
    const opening = openSession(guest.pipe, { watch: [] });
    await guest.expect(FrameType.KNOCK);
    guest.hello();
    guest.hello();
    const session = await opening;
    const pong = session.ping();
    await guest.expect(FrameType.PING);
    guest.frame(0, FrameType.PONG, Buffer.alloc(8));
    await pong;
    guest.hello();
    expect((await session.lost).code).toBe("GUEST_PROTOCOL");
  });

  it("an end of the pipe is a lost guest", async () => {
    await using guest = await createHostileGuest();
    guest.socket.end();
    await expect(openSession(guest.pipe, { watch: [] })).rejects.toMatchObject({ code: "GUEST_LOST" });
  });

  it("a FAULT is reported in the guest's words", async () => {
    await using guest = await createHostileGuest();
    guest.frame(0, FrameType.FAULT, Buffer.concat([encodeU32(12), Buffer.from("out of memory")]));
    await expect(openSession(guest.pipe, { watch: [] })).rejects.toMatchObject({
      code: "GUEST_FAULT",
      message: "The guest gave up: out of memory.",
    });
  });
});

describe("a hostile guest is cut off with GUEST_PROTOCOL when it sends", () => {
  const attacks: readonly [string, (guest: HostileGuest, session: Session) => void][] = [
    ["a second HELLO", (guest) => guest.hello()],
    ["a payload over 64 KiB", (guest) => void guest.socket.write(encodeHeader(1, FrameType.DATA, 65_537))],
    ["the longest length there is", (guest) => void guest.socket.write(encodeHeader(1, FrameType.EXIT, 0xff_ffff))],
    ["an unknown type on the control stream", (guest) => guest.frame(0, 0x7f)],
    ["an unknown type on a command", (guest) => guest.frame(1, 0x7f)],
    ["a stream that was never opened", (guest) => guest.frame(99, FrameType.DATA, Buffer.from("x"))],
    ["a stream that only a guest could open", (guest) => guest.frame(0x8000_0001, FrameType.DATA, Buffer.from("x"))],
    ["QUIESCED that nobody asked for", (guest) => guest.frame(0, FrameType.QUIESCED)],
    ["STATS that nobody asked for", (guest) => guest.frame(0, FrameType.STATS)],
    ["SWEPT that nobody asked for", (guest) => guest.frame(0, FrameType.SWEPT, encodeU32(1))],
    ["PONG that nobody asked for", (guest) => guest.frame(0, FrameType.PONG, Buffer.alloc(8))],
    ["EXIT before STARTED", (guest) => guest.frame(1, FrameType.EXIT, exit())],
    ["output before STARTED", (guest) => guest.frame(1, FrameType.DATA, Buffer.from("x"))],
    ["STARTED on the stream of standard error", (guest) => guest.frame(2, FrameType.STARTED, encodeU32(1))],
    [
      "STARTED twice",
      (guest) => {
        started(guest);
        started(guest);
      },
    ],
    [
      "two exits",
      (guest) => {
        started(guest);
        guest.frame(1, FrameType.EXIT, exit());
        guest.frame(1, FrameType.EXIT, exit());
      },
    ],
    [
      "an EXIT of the wrong size",
      (guest) => {
        started(guest);
        guest.frame(1, FrameType.EXIT, Buffer.alloc(27));
      },
    ],
    [
      "FAILED after STARTED",
      (guest) => {
        started(guest);
        guest.frame(1, FrameType.FAILED, Buffer.alloc(8));
      },
    ],
    [
      "DATA after EOF",
      (guest) => {
        started(guest);
        guest.frame(1, FrameType.EOF);
        guest.frame(1, FrameType.DATA, Buffer.from("x"));
      },
    ],
    [
      "EOF twice",
      (guest) => {
        started(guest);
        guest.frame(2, FrameType.EOF);
        guest.frame(2, FrameType.EOF);
      },
    ],
    [
      "endless credit",
      (guest) => {
        for (let times = 0; times < 3; times += 1) guest.frame(1, FrameType.CREDIT, encodeU32(0x7fff_ffff));
      },
    ],
    [
      "more output than it was granted",
      (guest) => {
        started(guest);
        for (let times = 0; times < 17; times += 1) guest.frame(1, FrameType.DATA, Buffer.alloc(65_536));
      },
    ],
    [
      "DONE for a command",
      (guest) => {
        started(guest);
        guest.frame(1, FrameType.DONE);
      },
    ],
    [
      "a frame for a command that is over",
      (guest) => {
        started(guest);
        guest.frame(1, FrameType.EXIT, exit());
        guest.frame(1, FrameType.EOF);
        guest.frame(2, FrameType.EOF);
        guest.frame(1, FrameType.DATA, Buffer.from("x"));
      },
    ],
    [
      "STATS of a broken size",
      (guest, session) => {
        session.stats().catch(() => undefined);
        guest.frame(0, FrameType.STATS, Buffer.alloc(13));
      },
    ],
    [
      "SWEPT for another command",
      (guest, session) => {
        session.sweep(1).catch(() => undefined);
        guest.frame(0, FrameType.SWEPT, encodeU32(3));
      },
    ],
    [
      "SWEPT of a broken size",
      (guest, session) => {
        session.sweep(1).catch(() => undefined);
        guest.frame(0, FrameType.SWEPT, Buffer.from([0, 0, 0, 1, 0]));
      },
    ],
    [
      "more than ten thousand notes",
      (guest, session) => {
        session.unpack("/workspace").done.catch(() => undefined);
        for (let times = 0; times <= 10_000; times += 1) guest.frame(3, FrameType.NOTE, Buffer.concat([encodeU32(1), Buffer.from("x")]));
      },
    ],
    [
      "DONE twice",
      (guest, session) => {
        session.pack({ directory: "/workspace", paths: ["."] }).done.catch(() => undefined);
        guest.frame(3, FrameType.DONE);
        guest.frame(3, FrameType.DONE);
      },
    ],
  ];
  it.each(attacks)("%s", async (_name, attack) => {
    const verdict = await verdictOn(attack);
    expect(verdict.code).toBe("GUEST_PROTOCOL");
    expect(verdict.message).toMatch(/^The process at the inner end of the pipe broke the protocol: .+\.$/);
  });

  it("and everything that waited for it fails with the same reason", async () => {
    await using guest = await createHostileGuest();
    const session = await shakeHands(guest);
    const command = session.exec(REQUEST);
    const waits = [
      command.started,
      command.exited,
      session.stats(),
      session.quiesce(),
      session.ping(),
      session.sweep(1),
      session.unpack("/w").done,
    ];
    guest.frame(77, FrameType.EXIT);
    for (const wait of waits) await expect(wait).rejects.toMatchObject({ code: "GUEST_PROTOCOL" });
    expect(() => session.exec(REQUEST)).toThrow(expect.objectContaining({ code: "GUEST_PROTOCOL" }) as Error);
  });
});

describe("a guest that floods", () => {
  it("is held back by credit: nobody reads, so no more than one window is kept", async () => {
    await using guest = await createHostileGuest();
    const session = await shakeHands(guest);
    const command = session.exec(REQUEST);
    await guest.expect(FrameType.EXEC);
    started(guest);
    await command.started;
    for (let times = 0; times < WINDOW / 65_536; times += 1) guest.frame(1, FrameType.DATA, Buffer.alloc(65_536));
    guest.frame(2, FrameType.DATA, Buffer.from("!"));
    await once(command.stderr, "readable");
    expect(command.stdout.readableLength).toBe(WINDOW);
  });

  it("gets credit as its reader goes on, and not before", async () => {
    await using guest = await createHostileGuest();
    const session = await shakeHands(guest);
    const command = session.exec(REQUEST);
    started(guest);
    for (let times = 0; times < WINDOW / 65_536; times += 1) guest.frame(1, FrameType.DATA, Buffer.alloc(65_536));
    guest.frame(1, FrameType.EOF);
    const granted = guest.expect(FrameType.CREDIT);
    expect(Buffer.concat(await command.stdout.toArray()).length).toBe(WINDOW);
    expect((await granted).payload.readUInt32BE(0)).toBeGreaterThanOrEqual(262_144);
  });

  it.each([
    ["that takes its time", async () => new Promise<void>((resolve) => setImmediate(resolve))],
    ["that is always there", () => undefined],
  ])("is served in full by a reader %s", async (_what, pause) => {
    await using guest = await createHostileGuest();
    const session = await shakeHands(guest);
    const command = session.exec(REQUEST);
    started(guest);
    const sending = sendWithCredit(guest, 8 * WINDOW);
    let bytes = 0;
    for await (const piece of command.stdout as AsyncIterable<Buffer>) {
      bytes += piece.length;
      await pause();
    }
    await sending;
    expect(bytes).toBe(8 * WINDOW);
  });
});

/** Sends so many bytes on stream 1 as fast as credit allows, then EOF. */
async function sendWithCredit(guest: HostileGuest, bytes: number): Promise<void> {
  let credit = WINDOW;
  for (let left = bytes; left > 0; ) {
    const length = Math.min(left, credit, 65_536);
    if (length === 0) {
      credit += (await guest.expect(FrameType.CREDIT)).payload.readUInt32BE(0);
      continue;
    }
    guest.frame(1, FrameType.DATA, Buffer.alloc(length));
    credit -= length;
    left -= length;
  }
  guest.frame(1, FrameType.EOF);
}
