import { isIPv4 } from "node:net";
import { type ByteReader, createByteReader, Malformed } from "../byte-reader.ts";

/** One question (RFC 1035, section 4.1). */
export type DnsQuery = {
  readonly id: number;
  readonly recursionDesired: boolean;
  /**
   * The labels joined by dots, in the case they came in; empty for the root. `undefined` where that would not say which labels it was made of, or would not be
   * printable: a label holds a dot, a backslash, a space, a control character or a byte that is not ASCII. Such a name can be answered but not be decided by name.
   */
  readonly name: string | undefined;
  readonly labels: readonly Buffer[];
  /** QTYPE and QCLASS as numbers: 1 is A, 28 is AAAA, 255 is any; class 1 is IN. */
  readonly type: number;
  readonly class: number;
  /** The question section as it came, for the reply to repeat. */
  readonly question: Buffer;
  /** What the client's OPT record says (RFC 6891), `undefined` without one: the largest reply in bytes, at least 512, and the DO bit. */
  readonly edns: { readonly udpSize: number; readonly dnssecOk: boolean } | undefined;
};

/** A message that is no query to be answered: to be dropped, or what an error reply needs of it. */
export type RefusedDnsQuery =
  | { readonly refused: "drop" }
  | {
      readonly refused: "format-error" | "not-implemented" | "bad-version";
      readonly id: number;
      readonly opcode: number;
      readonly recursionDesired: boolean;
    };

/** `address`: the name has this one IPv4 address, for `ttl` seconds, and no other record. `empty`: it exists without what was asked for. */
export type DnsAnswer =
  | { readonly kind: "address"; readonly address: string; readonly ttl: number }
  | { readonly kind: "empty" | "refused" | "name-error" | "server-failure" };

/**
 * Reads one message as UDP carries it, or TCP behind its length (RFC 1035, section 4.2), strictly: opcode QUERY, one question without compression, no records but at most one
 * OPT, nothing behind it, at most 4,096 bytes. Never throws. A message without a whole id, and one that is itself a response, is `drop`, so that two of us never
 * answer each other; an OPT record of another version than 0 is `bad-version`. Flags that say nothing in a query (AA, TC, RA, Z, AD, CD, RCODE) are not looked at.
 */
export function parseDnsQuery(message: Buffer): DnsQuery | RefusedDnsQuery {
  if (message.length < 2) return { refused: "drop" };
  const id = message.readUInt16BE(0);
  const flags = message[2] ?? 0;
  if ((flags & QR) !== 0) return { refused: "drop" };
  const opcode = (flags >> 3) & 15;
  const recursionDesired = (flags & RD) !== 0;
  if (message.length >= HEADER && opcode !== 0) return { refused: "not-implemented", id, opcode, recursionDesired };
  try {
    const { edns, ...question } = parseBody(message);
    if (edns !== undefined && edns.version > 0) return { refused: "bad-version", id, opcode, recursionDesired };
    return {
      id,
      recursionDesired,
      ...question,
      edns: edns === undefined ? undefined : { udpSize: edns.udpSize, dnssecOk: edns.dnssecOk },
    };
  } catch (thrown) {
    if (!(thrown instanceof Malformed)) throw thrown;
    return { refused: "format-error", id, opcode, recursionDesired };
  }
}

/**
 * The reply to a query: recursion available, not authoritative, at most 298 bytes, so that it fits any client's buffer. An address answers types A and ANY in
 * classes IN and ANY, and to any other question it is an empty reply. Throws a `RangeError` for an address that is not IPv4 or a TTL that is not a whole number from 0 to
 * 2,147,483,647 (RFC 2181, section 8).
 */
export function buildDnsReply(query: DnsQuery, answer: DnsAnswer): Buffer {
  const records = answer.kind === "address" ? buildAddress(query, answer) : [];
  const options = query.edns === undefined ? [] : [buildOpt(0, query.edns.dnssecOk)];
  const rcode = answer.kind === "address" ? RCODES.empty : RCODES[answer.kind];
  const header = buildHeader(
    { id: query.id, opcode: 0, recursionDesired: query.recursionDesired },
    { rcode, counts: [1, records.length, 0, options.length] },
  );
  return Buffer.concat([header, query.question, ...records, ...options]);
}

/** The reply to a message that could not be read: its header alone, with an OPT record where the code needs one; `undefined` for what is dropped. */
export function buildDnsError(refused: RefusedDnsQuery): Buffer | undefined {
  if (refused.refused === "drop") return undefined;
  if (refused.refused !== "bad-version") return buildHeader(refused, { rcode: RCODES[refused.refused], counts: [0, 0, 0, 0] });
  return Buffer.concat([buildHeader(refused, { rcode: 0, counts: [0, 0, 0, 1] }), buildOpt(BADVERS_HIGH, false)]);
}

const HEADER = 12;
const QR = 0x80;
const RD = 0x01;
const RA = 0x80;
const TYPE_A = 1;
const TYPE_OPT = 41;
const CLASS_IN = 1;
const ANY = 255;
const POINTER = 0xc000;
const DNSSEC_OK = 0x8000;
const MAX_LABEL = 63;
const MAX_NAME = 255;
const MAX_MESSAGE = 4096;
const MIN_UDP_SIZE = 512;
const MAX_TTL = 2 ** 31 - 1;
/** The upper eight bits of BADVERS, 16, which the OPT record carries (RFC 6891, section 9). */
const BADVERS_HIGH = 1;
const RCODES = { empty: 0, "format-error": 1, "server-failure": 2, "name-error": 3, "not-implemented": 4, refused: 5 } as const;

type Question = Pick<DnsQuery, "name" | "labels" | "type" | "class" | "question">;
type Opt = { readonly udpSize: number; readonly version: number; readonly dnssecOk: boolean };

function parseBody(message: Buffer): Question & { readonly edns: Opt | undefined } {
  if (message.length > MAX_MESSAGE) throw new Malformed("a message longer than 4096 bytes");
  // A copy, since what is handed out outlives the message.
  const bytes = Buffer.from(message);
  const reader = createByteReader(bytes);
  reader.take(4, "the header");
  const [questions, answers, authorities, additional] = [0, 1, 2, 3].map(() => reader.uint16("the header"));
  if (questions !== 1 || answers !== 0 || authorities !== 0 || additional === undefined || additional > 1)
    throw new Malformed("not one question and at most one record");
  const labels = parseLabels(reader);
  const type = reader.uint16("the type");
  const klass = reader.uint16("the class");
  const question = bytes.subarray(HEADER, bytes.length - reader.left());
  const edns = additional === 0 ? undefined : parseOpt(reader);
  reader.end("the query");
  return { name: joinLabels(labels), labels, type, class: klass, question, edns };
}

/** A compression pointer, like every other length above 63, is malformed here: there is nothing in front of the question that it could point to. */
function parseLabels(reader: ByteReader): readonly Buffer[] {
  const labels: Buffer[] = [];
  let size = 1;
  for (;;) {
    const length = reader.uint8("the name");
    if (length === 0) return labels;
    if (length > MAX_LABEL) throw new Malformed("a label longer than 63 bytes");
    size += 1 + length;
    if (size > MAX_NAME) throw new Malformed("a name longer than 255 bytes");
    labels.push(reader.take(length, "the name"));
  }
}

const PLAIN_LABEL = /^[!-~]+$/;

function joinLabels(labels: readonly Buffer[]): string | undefined {
  const texts = labels.map((label) => label.toString("latin1"));
  return texts.every((text) => PLAIN_LABEL.test(text) && !/[.\\]/.test(text)) ? texts.join(".") : undefined;
}

/** RFC 6891, section 6.1. The options are read to see that they fit, and say nothing that matters here. */
function parseOpt(reader: ByteReader): Opt {
  if (reader.uint8("the additional record") !== 0 || reader.uint16("the additional record") !== TYPE_OPT)
    throw new Malformed("an additional record that is not OPT");
  const udpSize = Math.max(reader.uint16("the OPT record"), MIN_UDP_SIZE);
  reader.take(1, "the OPT record");
  const version = reader.uint8("the OPT record");
  const flags = reader.uint16("the OPT record");
  const options = createByteReader(reader.take(reader.uint16("the OPT record"), "the OPT record"));
  while (options.left() > 0) {
    options.take(2, "an option");
    options.take(options.uint16("an option"), "an option");
  }
  return { udpSize, version, dnssecOk: (flags & DNSSEC_OK) !== 0 };
}

function buildHeader(
  asked: { readonly id: number; readonly opcode: number; readonly recursionDesired: boolean },
  reply: { readonly rcode: number; readonly counts: readonly number[] },
): Buffer {
  const header = Buffer.alloc(HEADER);
  header.writeUInt16BE(asked.id, 0);
  header.writeUInt8(QR | (asked.opcode << 3) | (asked.recursionDesired ? RD : 0), 2);
  header.writeUInt8(RA | reply.rcode, 3);
  for (const [index, count] of reply.counts.entries()) header.writeUInt16BE(count, 4 + 2 * index);
  return header;
}

/** The record of the question's own name, which is named by a pointer (RFC 1035, section 4.1.4); none where the question asks for another type. */
function buildAddress(query: DnsQuery, answer: { readonly address: string; readonly ttl: number }): readonly Buffer[] {
  if (!isIPv4(answer.address)) throw new RangeError(`"${answer.address}" is not an IPv4 address.`);
  if (!Number.isInteger(answer.ttl) || answer.ttl < 0 || answer.ttl > MAX_TTL) throw new RangeError(`${answer.ttl} is not a TTL.`);
  if (![TYPE_A, ANY].includes(query.type) || ![CLASS_IN, ANY].includes(query.class)) return [];
  const record = Buffer.alloc(16);
  record.writeUInt16BE(POINTER | HEADER, 0);
  record.writeUInt16BE(TYPE_A, 2);
  record.writeUInt16BE(CLASS_IN, 4);
  record.writeUInt32BE(answer.ttl, 6);
  record.writeUInt16BE(4, 10);
  record.set(answer.address.split(".").map(Number), 12);
  return [record];
}

/** An OPT record without options, which repeats the DO bit (RFC 3225, section 3). */
function buildOpt(extendedCode: number, dnssecOk: boolean): Buffer {
  const record = Buffer.alloc(11);
  record.writeUInt16BE(TYPE_OPT, 1);
  record.writeUInt16BE(MAX_MESSAGE, 3);
  record.writeUInt8(extendedCode, 5);
  record.writeUInt16BE(dnssecOk ? DNSSEC_OK : 0, 7);
  return record;
}
