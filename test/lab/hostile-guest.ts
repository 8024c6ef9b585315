import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { connect, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { encodeHeader, encodeStrings, encodeU32, FrameType } from "../../src/guest/frame.ts";

/** A guest in the hands of an attacker: says what it is told to, over a real socket. `pipe` is the host's end. */
export type HostileGuest = AsyncDisposable & {
  readonly pipe: Socket;
  /** The attacker's end. */
  readonly socket: Socket;
  frame(stream: number, type: number, payload?: Buffer): void;
  hello(window?: number): void;
  /** Settles with the payload of the next frame of this type from the host. */
  expect(type: number): Promise<{ readonly stream: number; readonly payload: Buffer }>;
};

export async function createHostileGuest(): Promise<HostileGuest> {
  const directory = await mkdtemp(join(tmpdir(), "hostile-guest-"));
  const server = createServer({ allowHalfOpen: true });
  server.listen(join(directory, "pipe"));
  await once(server, "listening");
  const pipe = connect({ path: join(directory, "pipe"), allowHalfOpen: true });
  const [[socket]] = (await Promise.all([once(server, "connection"), once(pipe, "connect")])) as [[Socket], unknown];
  socket.on("error", () => undefined);
  let received = Buffer.alloc(0);
  let wake: () => void = () => undefined;
  socket.on("data", (chunk: Buffer) => {
    received = Buffer.concat([received, chunk]);
    wake();
  });
  socket.on("close", () => wake());

  function take(type: number): { stream: number; payload: Buffer } | undefined {
    while (received.length >= 8) {
      const length = received.readUIntBE(5, 3);
      if (received.length < 8 + length) return undefined;
      const found = { stream: received.readUInt32BE(0), type: received.readUInt8(4), payload: received.subarray(8, 8 + length) };
      received = received.subarray(8 + length);
      if (found.type === type) return found;
    }
    return undefined;
  }

  const frame = (stream: number, type: number, payload: Buffer = Buffer.alloc(0)): void => {
    socket.write(Buffer.concat([encodeHeader(stream, type, payload.length), payload]));
  };
  return {
    pipe,
    socket,
    frame,
    hello: (window = 262_144) =>
      frame(0, FrameType.HELLO, Buffer.concat([Buffer.from("BJAR"), Buffer.from([0, 1, 0, 0]), encodeU32(window)])),
    expect: async (type) => {
      for (;;) {
        const found = take(type);
        if (found !== undefined) return found;
        if (socket.destroyed) throw new Error("the host closed the pipe");
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    },
    [Symbol.asyncDispose]: async () => {
      pipe.destroy();
      socket.destroy();
      server.close();
      await rm(directory, { recursive: true });
    },
  };
}

/** Payload of a `FAILED` or `NOTE`. */
export function failed(stage: number, errno: number, text: string): Buffer {
  return Buffer.concat([Buffer.from([stage, 0, 0, 0]), encodeU32(errno), encodeStrings([text]).subarray(0, -1)]);
}
