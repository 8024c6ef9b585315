import { createHelloReader, type HelloState } from "../../../src/egress/tls/client-hello.ts";

/** ClientHellos byte by byte, so that they can be wrong in any way. */
export type RawHello = {
  readonly version?: readonly number[];
  readonly session?: Buffer;
  readonly suites?: Buffer;
  readonly compression?: Buffer;
  /** `undefined` leaves out even their length. */
  readonly extensions?: readonly Buffer[] | undefined;
  /** Bytes behind the extensions, inside the message. */
  readonly tail?: Buffer;
};

export const NONE = Buffer.alloc(0);

/** Content behind its length in `size` bytes. */
export function vector(size: number, content: Buffer): Buffer {
  const length = Buffer.alloc(size);
  length.writeUIntBE(content.length, 0, size);
  return Buffer.concat([length, content]);
}

export function extension(type: number, data: Buffer): Buffer {
  return Buffer.concat([Buffer.from([type >> 8, type & 255]), vector(2, data)]);
}

/** A server_name extension with any number of names. */
export function serverName(...names: readonly (string | Buffer)[]): Buffer {
  const entries = names.map((name) => Buffer.concat([Buffer.from([0]), vector(2, Buffer.from(name))]));
  return extension(0, vector(2, Buffer.concat(entries)));
}

export function alpn(...protocols: readonly string[]): Buffer {
  return extension(16, vector(2, Buffer.concat(protocols.map((protocol) => vector(1, Buffer.from(protocol, "latin1"))))));
}

/** The handshake message, with its header. */
export function helloMessage(raw: RawHello = {}): Buffer {
  const extensions = "extensions" in raw ? raw.extensions : [serverName("example.com")];
  const body = Buffer.concat([
    Buffer.from(raw.version ?? [3, 3]),
    Buffer.alloc(32, 7),
    vector(1, raw.session ?? Buffer.alloc(32, 9)),
    vector(2, raw.suites ?? Buffer.from([0x13, 0x01, 0xc0, 0x2f])),
    vector(1, raw.compression ?? Buffer.from([0])),
    extensions === undefined ? Buffer.alloc(0) : vector(2, Buffer.concat(extensions)),
    raw.tail ?? Buffer.alloc(0),
  ]);
  return handshake(body);
}

/** A message with nothing wrong in it. */
export const GOOD = helloMessage();

export function handshake(body: Buffer, type = 1): Buffer {
  return Buffer.concat([Buffer.from([type]), vector(3, body)]);
}

/** A message in records of at most `size` bytes. */
export function records(message: Buffer, size = 16_384): Buffer {
  const count = Math.ceil(message.length / size);
  return Buffer.concat(Array.from({ length: count }, (_, index) => record(message.subarray(index * size, (index + 1) * size))));
}

export function record(fragment: Buffer, header: readonly number[] = [22, 3, 1]): Buffer {
  return Buffer.concat([Buffer.from(header), vector(2, fragment)]);
}

/** A ClientHello in records. */
export function raw(hello: RawHello): Buffer {
  return records(helloMessage(hello));
}

export function named(name: string | Buffer): Buffer {
  return raw({ extensions: [serverName(name)] });
}

/** The fragments of whole records, joined. */
export function joinFragments(bytes: Buffer): Buffer {
  const fragments: Buffer[] = [];
  for (let at = 0; at + 5 <= bytes.length; at += 5 + bytes.readUInt16BE(at + 3))
    fragments.push(bytes.subarray(at + 5, at + 5 + bytes.readUInt16BE(at + 3)));
  return Buffer.concat(fragments);
}

/** Whether records hold a whole handshake message. */
export function holdsMessage(bytes: Buffer): boolean {
  const message = joinFragments(bytes);
  return message.length >= 4 && message.length >= 4 + message.readUIntBE(1, 3);
}

/** The state after the last chunk. */
export function read(...chunks: readonly Buffer[]): HelloState {
  const reader = createHelloReader();
  return chunks.map((chunk) => reader.push(chunk)).at(-1) ?? { kind: "more" };
}

export function readByteByByte(bytes: Buffer): HelloState {
  const reader = createHelloReader();
  for (let at = 0; at < bytes.length - 1; at += 1) reader.push(bytes.subarray(at, at + 1));
  return reader.push(bytes.subarray(-1));
}
