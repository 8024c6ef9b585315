import { once } from "node:events";
import { describe, expect, it } from "vitest";
import type { SandboxError } from "../../src/core/errors.ts";
import type { Connection } from "../../src/guest/connection.ts";
import { encodeU32, FrameType } from "../../src/guest/frame.ts";
import { openSession, type Session } from "../../src/guest/session.ts";
import { createHostileGuest, type HostileGuest } from "../lab/hostile-guest.ts";

const FIRST = 0x8000_0000;
const WINDOW = 262_144;
const HTTPS = Buffer.from([0, 0, 1, 187, 127, 64, 0, 1]);

type Networked = { readonly session: Session; readonly connections: Connection[]; readonly datagrams: Buffer[] };

async function shakeHands(guest: HostileGuest): Promise<Networked> {
  guest.hello();
  const session = await openSession(guest.pipe, { watch: [] });
  const connections: Connection[] = [];
  const datagrams: Buffer[] = [];
  session.network.serve({
    onConnection: (connection) => {
      connection.on("error", () => undefined);
      connections.push(connection);
    },
    onDatagram: (message) => {
      datagrams.push(message);
      return Promise.resolve(undefined);
    },
  });
  return { session, connections, datagrams };
}

/** Everything that the guest has sent until now was taken when this settles. */
async function settled(guest: HostileGuest, session: Session): Promise<void> {
  const pong = session.ping();
  guest.frame(0, FrameType.PONG, Buffer.alloc(8));
  await pong;
}

async function verdictOn(attack: (guest: HostileGuest) => void): Promise<SandboxError> {
  await using guest = await createHostileGuest();
  const { session } = await shakeHands(guest);
  attack(guest);
  return await session.lost;
}

const opened = (guest: HostileGuest, id = FIRST): void => guest.frame(id, FrameType.CONNECTION, HTTPS);

describe("a guest that keeps to the protocol of connections", () => {
  it("is believed: its connection carries bytes both ways and ends", async () => {
    await using guest = await createHostileGuest();
    const { session, connections } = await shakeHands(guest);
    opened(guest);
    guest.frame(FIRST, FrameType.DATA, Buffer.from("ask"));
    guest.frame(FIRST, FrameType.EOF);
    await settled(guest, session);
    const [connection] = connections;
    expect(connection?.target).toEqual({ address: "127.64.0.1", port: 443 });
    connection?.end("answer");
    expect((await guest.expect(FrameType.DATA)).payload.toString()).toBe("answer");
    await guest.expect(FrameType.EOF);
    expect(Buffer.concat((await connection?.toArray()) ?? []).toString()).toBe("ask");
  });
});

describe("a guest that breaks the protocol of connections", () => {
  it.each<[string, (guest: HostileGuest) => void]>([
    ["an id that skips one", (guest) => opened(guest, FIRST + 1)],
    [
      "an id twice",
      (guest) => {
        opened(guest);
        opened(guest);
      },
    ],
    ["DATA before CONNECTION", (guest) => guest.frame(FIRST, FrameType.DATA, Buffer.from("x"))],
    ["CONNECTION that is too short", (guest) => guest.frame(FIRST, FrameType.CONNECTION, Buffer.alloc(7))],
    [
      "DATA beyond its credit",
      (guest) => {
        opened(guest);
        for (let sent = 0; sent <= WINDOW; sent += 65_536) guest.frame(FIRST, FrameType.DATA, Buffer.alloc(65_536));
      },
    ],
    [
      "DATA after EOF",
      (guest) => {
        opened(guest);
        guest.frame(FIRST, FrameType.EOF);
        guest.frame(FIRST, FrameType.DATA, Buffer.from("x"));
      },
    ],
    [
      "EOF twice",
      (guest) => {
        opened(guest);
        guest.frame(FIRST, FrameType.EOF);
        guest.frame(FIRST, FrameType.EOF);
      },
    ],
    [
      "credit without end",
      (guest) => {
        opened(guest);
        guest.frame(FIRST, FrameType.CREDIT, encodeU32(0x7fff_ffff));
        guest.frame(FIRST, FrameType.CREDIT, encodeU32(0x7fff_ffff));
      },
    ],
    [
      "EXIT of a connection",
      (guest) => {
        opened(guest);
        guest.frame(FIRST, FrameType.EXIT, Buffer.alloc(28));
      },
    ],
    ["LISTENING that nobody asked for", (guest) => guest.frame(0, FrameType.LISTENING, Buffer.alloc(12))],
    ["LISTENING that is too long", (guest) => guest.frame(0, FrameType.LISTENING, Buffer.alloc(13))],
    ["a datagram without a token", (guest) => guest.frame(0, FrameType.DATAGRAM, Buffer.alloc(3))],
    ["a datagram that is too long", (guest) => guest.frame(0, FrameType.DATAGRAM, Buffer.alloc(4_101))],
    ["CONNECTION on the control stream", (guest) => guest.frame(0, FrameType.CONNECTION, HTTPS)],
  ])("by %s is cut off", async (_what, attack) => {
    expect(await verdictOn(attack)).toMatchObject({ code: "GUEST_PROTOCOL" });
  });
});

describe("what crosses the end of a connection", () => {
  it("is ignored, and a reset reaches the other side as one", async () => {
    await using guest = await createHostileGuest();
    const { session, connections } = await shakeHands(guest);
    opened(guest);
    opened(guest, FIRST + 1);
    await settled(guest, session);
    connections[0]?.destroy();
    expect((await guest.expect(FrameType.RESET)).stream).toBe(FIRST);
    for (const type of [FrameType.EOF, FrameType.RESET]) guest.frame(FIRST, type);
    guest.frame(FIRST, FrameType.DATA, Buffer.from("late"));
    const lost = once(connections[1] ?? guest.pipe, "error");
    guest.frame(FIRST + 1, FrameType.RESET);
    expect((await lost)[0]).toMatchObject({ code: "ECONNRESET" });
    expect(guest.pipe.destroyed).toBe(false);
  });
});
