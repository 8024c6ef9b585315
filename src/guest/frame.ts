/** The frames of the pipe: see `docs/protocol.md`. Everything is big-endian. */
export const PROTOCOL_VERSION = 1;
export const MAGIC = "BJAR";
export const HEADER_BYTES = 8;
export const MAX_PAYLOAD = 65_536;
export const CONTROL_STREAM = 0;

export const FrameType = {
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

/** The name of a frame type for error sentences. */
export function frameName(type: number): string {
  return Object.entries(FrameType).find(([, value]) => value === type)?.[0] ?? `0x${type.toString(16)}`;
}

export function encodeHeader(stream: number, type: number, length: number): Buffer {
  const header = Buffer.allocUnsafe(HEADER_BYTES);
  header.writeUInt32BE(stream, 0);
  header.writeUInt32BE(((type << 24) | length) >>> 0, 4);
  return header;
}

export function encodeU32(value: number): Buffer {
  const payload = Buffer.allocUnsafe(4);
  payload.writeUInt32BE(value, 0);
  return payload;
}

/** A string list: each string followed by one NUL byte. */
export function encodeStrings(strings: readonly string[]): Buffer {
  return Buffer.from(strings.map((text) => `${text}\0`).join(""), "utf8");
}
