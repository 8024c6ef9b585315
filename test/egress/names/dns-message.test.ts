import { describe, expect, it } from "vitest";
import { buildDnsError, buildDnsReply, type DnsAnswer, type DnsQuery, parseDnsQuery } from "../../../src/egress/names/dns-message.ts";
import { fuzzRuns } from "../../lab/fuzz-runs.ts";
import { fc } from "../../lab/property.ts";
import { isRefused, numbers, opt, query, type RawQuery, readReply, wireName } from "./dns-bytes.ts";

const ANSWERS: readonly DnsAnswer[] = [
  { kind: "address", address: "192.0.2.255", ttl: 2_147_483_647 },
  { kind: "empty" },
  { kind: "refused" },
  { kind: "name-error" },
  { kind: "server-failure" },
];

function parse(raw: RawQuery | Buffer): DnsQuery {
  const parsed = parseDnsQuery(Buffer.isBuffer(raw) ? raw : query(raw));
  if (isRefused(parsed)) throw new Error(`refused as ${parsed.refused}`);
  return parsed;
}

describe("parseDnsQuery reads", () => {
  it("all of a query, in the case it came in", () => {
    const message = query({
      id: 0xfffe,
      flags: 0x0130,
      name: wireName("wWw", "ExAmPlE", "cOm"),
      type: 28,
      class: 3,
      tail: opt({ flags: 0x8000 }),
    });
    expect(parse(message)).toEqual({
      id: 0xfffe,
      recursionDesired: true,
      name: "wWw.ExAmPlE.cOm",
      labels: [Buffer.from("wWw"), Buffer.from("ExAmPlE"), Buffer.from("cOm")],
      type: 28,
      class: 3,
      question: message.subarray(12, -11),
      edns: { udpSize: 1232, dnssecOk: true },
    });
  });

  it.each<[string, Buffer, string]>([
    ["glibc", Buffer.from("a2b701000001000000000000076578616d706c6503636f6d0000010001", "hex"), "example.com"],
    [
      "glibc with edns0",
      Buffer.from("a2b701000001000000000001076578616d706c6503636f6d00001c000100002904b0000000000000", "hex"),
      "example.com",
    ],
    [
      "dig with a cookie",
      Buffer.from("5c2f01200001000000000001076578616d706c6503636f6d000001000100002904d000000000000c000a00086a1f0b2c3d4e5f60", "hex"),
      "example.com",
    ],
    ["a client that plays with the case", query({ name: wireName("eXaMpLe", "CoM") }), "eXaMpLe.CoM"],
  ])("what is sent by %s", (_what, message, name) => {
    expect(parse(message).name).toBe(name);
  });

  it("the longest name and the longest labels", () => {
    const labels = ["a".repeat(63), "b".repeat(63), "c".repeat(63), "d".repeat(61)];
    expect(parse({ name: wireName(...labels) }).name).toBe(labels.join("."));
    expect(parse({ name: wireName(...Array.from({ length: 127 }, () => "a")) }).labels.length).toBe(127);
  });

  it("the root as an empty name", () => {
    expect(parse({ name: wireName(), type: 2 })).toMatchObject({ name: "", labels: [], type: 2 });
  });

  it("4,096 bytes", () => {
    expect(parse({ tail: opt({ data: Buffer.concat([numbers(12, 4052), Buffer.alloc(4052)]) }) }).edns).toEqual({
      udpSize: 1232,
      dnssecOk: false,
    });
  });

  it("a UDP size below 512 as 512", () => {
    expect(parse({ tail: opt({ size: 0 }) }).edns?.udpSize).toBe(512);
    expect(parse({ tail: opt({ size: 65_535 }) }).edns?.udpSize).toBe(65_535);
  });

  it("what stays as it is when the message changes afterwards", () => {
    const message = query();
    const parsed = parse(message);
    message.fill(0x61);
    expect(parsed.question).toEqual(query().subarray(12));
    expect(parsed.labels).toEqual([Buffer.from("example"), Buffer.from("com")]);
  });

  it.each<[string, readonly (string | Buffer)[]]>([
    ["a dot in a label", ["example.com"]],
    ["a dot at the end of a label", ["example.", "com"]],
    ["a dot alone", ["."]],
    ["a NUL", ["example\0", "com"]],
    ["a backslash", ["a\\", "example"]],
    ["an escape", ["a\\046example", "com"]],
    ["a space", ["example ", "com"]],
    ["a line feed", ["example\n", "com"]],
    ["a terminal's escape", ["\x1b[2J", "com"]],
    ["DEL", ["\x7f"]],
    ["UTF-8", ["b\u00fccher", "example"]],
    ["a full stop of another script", ["example\u3002com"]],
    ["latin1", [Buffer.from([0x62, 0xfc]), "example"]],
    ["a byte that is a dot when cut to seven bits", [Buffer.from([0x61, 0xae, 0x62])]],
  ])("%s without calling it by a name", (_what, labels) => {
    const parsed = parse({ name: wireName(...labels) });
    expect(parsed.name).toBeUndefined();
    expect(parsed.labels).toEqual(labels.map((label) => Buffer.from(label)));
    for (const answer of ANSWERS) expect(readReply(buildDnsReply(parsed, answer)).questions).toEqual([parsed.question]);
  });

  it("no two names as one", () => {
    const label = fc.oneof(
      fc.uint8Array({ minLength: 1, maxLength: 4 }),
      fc.string({ unit: fc.constantFrom("a", "b", ".", "\\"), minLength: 1, maxLength: 4 }),
    );
    const name = fc.array(
      label.map((bytes) => Buffer.from(bytes)),
      { maxLength: 3 },
    );
    fc.assert(
      fc.property(name, name, (one, other) => {
        const [first, second] = [parse({ name: wireName(...one) }), parse({ name: wireName(...other) })];
        const isSame = wireName(...one).equals(wireName(...other));
        if (!isSame && first.name !== undefined) expect(first.name).not.toBe(second.name);
        if (first.name !== undefined)
          expect(first.name === "" ? [] : first.name.split(".")).toEqual(one.map((bytes) => bytes.toString("latin1")));
      }),
      { numRuns: fuzzRuns(3000) },
    );
  });
});

describe("buildDnsReply", () => {
  it.each([
    ["address", 0x8180, 1],
    ["empty", 0x8180, 0],
    ["refused", 0x8185, 0],
    ["name-error", 0x8183, 0],
    ["server-failure", 0x8182, 0],
  ] as const)("%s has the flags %i and %i answers", (kind, flags, count) => {
    const answer: DnsAnswer = kind === "address" ? { kind, address: "198.51.100.7", ttl: 30 } : { kind };
    const plain = readReply(buildDnsReply(parse({ flags: 0x0100 }), answer));
    expect(plain).toMatchObject({ id: 0x1234, flags, authorities: [], additional: [] });
    expect(plain.answers).toEqual(
      count === 0 ? [] : [{ name: wireName("example", "com"), type: 1, class: 1, ttl: 30, data: Buffer.from([198, 51, 100, 7]) }],
    );
    expect(readReply(buildDnsReply(parse({ flags: 0x0000 }), answer)).flags).toBe(flags & ~0x0100);
    const extended = readReply(buildDnsReply(parse({ tail: opt({ flags: 0x8001 }) }), answer));
    expect(extended.additional).toEqual([{ name: wireName(), type: 41, class: 4096, ttl: 0x8000, data: Buffer.alloc(0) }]);
  });

  it("gives an address only to a question for addresses", () => {
    const answer: DnsAnswer = { kind: "address", address: "192.0.2.1", ttl: 0 };
    const count = (type: number, klass: number) => readReply(buildDnsReply(parse({ type, class: klass }), answer)).answers.length;
    expect([count(1, 1), count(255, 1), count(1, 255), count(255, 255)]).toEqual([1, 1, 1, 1]);
    expect([count(28, 1), count(65, 1), count(15, 1), count(5, 1), count(1, 3), count(1, 254)]).toEqual([0, 0, 0, 0, 0, 0]);
  });

  it.each([
    ["::1", 1],
    ["1.2.3", 1],
    ["1.2.3.4.5", 1],
    ["256.1.1.1", 1],
    ["a.example", 1],
    ["192.0.2.1", -1],
    ["192.0.2.1", 1.5],
    ["192.0.2.1", Number.NaN],
    ["192.0.2.1", 2 ** 31],
  ])("does not build a record of %s for %d seconds", (address, ttl) => {
    for (const type of [1, 28]) expect(() => buildDnsReply(parse({ type }), { kind: "address", address, ttl })).toThrow(RangeError);
  });
});

describe("any message", () => {
  const bytes = (maxLength: number) => fc.uint8Array({ maxLength }).map((values) => Buffer.from(values));
  const labels = fc
    .array(fc.uint8Array({ minLength: 1, maxLength: 63 }), { maxLength: 5 })
    .map((all) => all.map((label) => Buffer.from(label)));
  const tail = fc.oneof(
    fc.constant(Buffer.alloc(0)),
    fc.record({ size: fc.nat({ max: 65_535 }), version: fc.constantFrom(0, 0, 0, 1), flags: fc.nat({ max: 65_535 }) }).map(opt),
    bytes(12).map((data) => opt({ data })),
    bytes(20),
  );
  const built = fc
    .record({
      id: fc.nat({ max: 65_535 }),
      rest: tail,
      labels,
      type: fc.constantFrom(1, 28, 255, 65, 41),
      flags: fc.constantFrom(0, 0x0100, 0x0130, 0x7900),
    })
    .map(({ id, rest, labels: all, type, flags }) => query({ id, name: wireName(...all), type, flags, tail: rest }));
  const tampered = fc
    .tuple(built, fc.nat({ max: 400 }), bytes(3), fc.nat({ max: 3 }))
    .map(([message, at, put, cut]) => Buffer.concat([message.subarray(0, at), put, message.subarray(at + cut)]));
  const one = fc.oneof(
    { weight: 1, arbitrary: bytes(300) },
    { weight: 1, arbitrary: bytes(40).map((content) => Buffer.concat([numbers(7, 0x0100, 1, 0, 0, 0), content])) },
    { weight: 2, arbitrary: built },
    { weight: 3, arbitrary: tampered },
  );

  it("is read without failing, and its reply says what it should to a strict reader", () => {
    let replies = 0;
    fc.assert(
      fc.property(one, fc.constantFrom(...ANSWERS), (message, answer) => {
        const parsed = parseDnsQuery(message);
        if (isRefused(parsed)) {
          const error = buildDnsError(parsed);
          if (error === undefined) expect(message.length < 2 || (message[2] ?? 0) > 127).toBe(true);
          else expect(readReply(error)).toMatchObject({ id: message.readUInt16BE(0), questions: [], answers: [] });
          return;
        }
        replies += 1;
        const reply = buildDnsReply(parsed, answer);
        expect(reply.length).toBeLessThanOrEqual(298);
        const read = readReply(reply);
        expect([read.id, read.questions]).toEqual([message.readUInt16BE(0), [parsed.question]]);
        expect(message.subarray(12, 12 + parsed.question.length)).toEqual(parsed.question);
        expect(read.flags & 0xfff0).toBe(0x8080 | (message.readUInt16BE(2) & 0x0100));
        expect(read.additional.length).toBe(parsed.edns === undefined ? 0 : 1);
      }),
      { numRuns: fuzzRuns(10_000) },
    );
    expect(replies).toBeGreaterThan(1000);
  });

  it("is refused when it is cut short anywhere", () => {
    fc.assert(
      fc.property(built, fc.nat({ max: 400 }), (message, end) => {
        fc.pre(end < message.length && !isRefused(parseDnsQuery(message)));
        expect(isRefused(parseDnsQuery(message.subarray(0, end)))).toBe(true);
      }),
      { numRuns: fuzzRuns(2000) },
    );
  });
});
