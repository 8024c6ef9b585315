import type { DnsQuery, RefusedDnsQuery } from "../../../src/egress/names/dns-message.ts";

/** DNS messages byte by byte, so that they can be wrong in any way, and a strict reader of replies that shares nothing with the product. */
export type RawQuery = {
  readonly id?: number;
  readonly flags?: number;
  readonly counts?: readonly number[];
  /** The name as it is on the wire, with the zero at its end. */
  readonly name?: Buffer;
  readonly type?: number;
  readonly class?: number;
  /** What follows the question. */
  readonly tail?: Buffer;
};

export function query(raw: RawQuery = {}): Buffer {
  const tail = raw.tail ?? Buffer.alloc(0);
  return Buffer.concat([
    numbers(raw.id ?? 0x1234, raw.flags ?? 0x0100, ...(raw.counts ?? [1, 0, 0, tail.length === 0 ? 0 : 1])),
    raw.name ?? wireName("example", "com"),
    numbers(raw.type ?? 1, raw.class ?? 1),
    tail,
  ]);
}

export function isRefused(parsed: DnsQuery | RefusedDnsQuery): parsed is RefusedDnsQuery {
  return "refused" in parsed;
}

/** Numbers of 16 bits. */
export function numbers(...values: readonly number[]): Buffer {
  return Buffer.from(values.flatMap((value) => [value >> 8, value & 255]));
}

export function wireName(...labels: readonly (string | Buffer)[]): Buffer {
  const parts = labels.map((label) => Buffer.from(label)).flatMap((label) => [Buffer.from([label.length]), label]);
  return Buffer.concat([...parts, Buffer.from([0])]);
}

/** An OPT record: the name of the root, type 41, the UDP size as its class, code, version and flags as its TTL. */
export function opt(
  raw: { readonly size?: number; readonly version?: number; readonly flags?: number; readonly data?: Buffer } = {},
): Buffer {
  const data = raw.data ?? Buffer.alloc(0);
  return Buffer.concat([Buffer.from([0]), numbers(41, raw.size ?? 1232, raw.version ?? 0, raw.flags ?? 0, data.length), data]);
}

export type ReadRecord = {
  readonly name: Buffer;
  readonly type: number;
  readonly class: number;
  readonly ttl: number;
  readonly data: Buffer;
};

/** Reads a reply to its last byte; throws for anything that is not right. A name is given as it would be without compression. */
export function readReply(message: Buffer) {
  let at = 12;
  const fail = (what: string): never => {
    throw new Error(`${what} at ${at} of ${message.toString("hex")}`);
  };
  const bytes = (length: number): Buffer => {
    if (at + length > message.length) fail("cut short");
    at += length;
    return message.subarray(at - length, at);
  };
  const number = () => bytes(2).readUInt16BE(0);
  const labelsFrom = (start: number): Buffer => {
    let end = start;
    while (message[end] !== 0) {
      if ((message[end] ?? 255) > 63) fail("not a label");
      end += 1 + (message[end] ?? 0);
    }
    return message.subarray(start, end + 1);
  };
  const name = (): Buffer => {
    const start = at;
    if ((message[at] ?? 0) >= 0xc0) {
      const target = number() & 0x3fff;
      if (target < 12 || target >= start) fail("a pointer that does not point back");
      return labelsFrom(target);
    }
    return bytes(labelsFrom(at).length);
  };
  const readRecord = (): ReadRecord => {
    const head = { name: name(), type: number(), class: number(), ttl: bytes(4).readUInt32BE(0) };
    return { ...head, data: bytes(number()) };
  };
  const count = (index: number) => message.readUInt16BE(4 + 2 * index);
  const list = <T>(index: number, readOne: () => T): readonly T[] => Array.from({ length: count(index) }, readOne);
  const reply = {
    id: message.readUInt16BE(0),
    flags: message.readUInt16BE(2),
    questions: list(0, () => Buffer.concat([name(), bytes(4)])),
    answers: list(1, readRecord),
    authorities: list(2, readRecord),
    additional: list(3, readRecord),
  };
  if (at !== message.length) fail("bytes behind the end");
  return reply;
}
