/** Frames as `docs/protocol.md` has them, written down once more so that these tests do not share an error with the host. */
export const Type = {
  HELLO: 0x01,
  WELCOME: 0x02,
  QUIESCE: 0x03,
  QUIESCED: 0x04,
  STATS_REQUEST: 0x05,
  STATS: 0x06,
  PING: 0x07,
  PONG: 0x08,
  FAULT: 0x09,
  KNOCK: 0x0a,
  SWEEP: 0x0b,
  SWEPT: 0x0c,
  EXEC_BODY: 0x10,
  EXEC: 0x11,
  STARTED: 0x12,
  EXIT: 0x13,
  SIGNAL: 0x14,
  RESIZE: 0x15,
  FAILED: 0x1f,
  DATA: 0x20,
  EOF: 0x21,
  CREDIT: 0x22,
  STOP: 0x23,
  UNPACK: 0x30,
  PACK: 0x31,
  DONE: 0x32,
  NOTE: 0x33,
  LISTEN: 0x40,
  LISTENING: 0x41,
  DATAGRAM: 0x42,
  CONNECTION: 0x43,
  RESET: 0x44,
} as const;

export type Frame = { readonly stream: number; readonly type: number; readonly payload: Buffer };

export function encodeFrame(stream: number, type: number, payload: Uint8Array = Buffer.alloc(0)): Buffer {
  const header = Buffer.alloc(8);
  header.writeUInt32BE(stream, 0);
  header.writeUInt32BE(type * 2 ** 24 + payload.length, 4);
  return Buffer.concat([header, payload]);
}

export function u16(...values: readonly number[]): Buffer {
  return Buffer.concat(values.map((value) => Buffer.from([value >> 8, value & 255])));
}

export function u32(...values: readonly number[]): Buffer {
  const bytes = Buffer.alloc(4 * values.length);
  for (const [index, value] of values.entries()) bytes.writeUInt32BE(value, 4 * index);
  return bytes;
}

export function strings(...list: readonly string[]): Buffer {
  return Buffer.from(list.map((text) => `${text}\0`).join(""));
}

/** Cuts bytes into frames; what is incomplete waits for the next call. */
export function createDecoder(): (chunk: Buffer) => Frame[] {
  let rest: Buffer = Buffer.alloc(0);
  return (chunk) => {
    const frames: Frame[] = [];
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    for (;;) {
      const length = rest.length < 8 ? Number.POSITIVE_INFINITY : rest.readUIntBE(5, 3);
      if (rest.length < 8 + length) return frames;
      frames.push({ stream: rest.readUInt32BE(0), type: rest.readUInt8(4), payload: rest.subarray(8, 8 + length) });
      rest = rest.subarray(8 + length);
    }
  };
}
