import { describe, expect, it } from "vitest";
import { buildDnsError, parseDnsQuery } from "../../../src/egress/names/dns-message.ts";
import { isRefused, numbers, opt, query, type RawQuery, readReply, wireName } from "./dns-bytes.ts";

describe("parseDnsQuery refuses", () => {
  const long = Array.from({ length: 4 }, () => "x".repeat(63));
  const cookie = Buffer.concat([numbers(10, 8), Buffer.alloc(8)]);

  it.each<[string, Buffer, string]>([
    ["an empty message", Buffer.alloc(0), "drop"],
    ["half an id", Buffer.from([1]), "drop"],
    ["a response", query({ flags: 0x8180 }), "drop"],
    ["a response that is cut short", query({ flags: 0x8180 }).subarray(0, 3), "drop"],
    ["a response with another opcode", query({ flags: 0xa800 }), "drop"],
    ["a response of 5,000 bytes", Buffer.concat([query({ flags: 0x8180 }), Buffer.alloc(5000)]), "drop"],
    ["an id alone", Buffer.from([1, 2]), "format-error"],
    ["half a header", query().subarray(0, 11), "format-error"],
    ["half a header of another opcode", query({ flags: 0x2800 }).subarray(0, 11), "format-error"],
    ["a header alone", query().subarray(0, 12), "format-error"],
    ["an inverse query", query({ flags: 0x0800 }), "not-implemented"],
    ["a status query", query({ flags: 0x1000 }), "not-implemented"],
    ["a NOTIFY", query({ flags: 0x2000 }), "not-implemented"],
    ["an UPDATE", query({ flags: 0x2800 }), "not-implemented"],
    ["no question", Buffer.concat([numbers(1, 0x0100, 0, 0, 0, 0)]), "format-error"],
    ["two questions", query({ counts: [2, 0, 0, 0], tail: query().subarray(12) }), "format-error"],
    ["two questions of which one is there", query({ counts: [2, 0, 0, 0] }), "format-error"],
    ["65,535 questions", query({ counts: [65_535, 0, 0, 0] }), "format-error"],
    ["an answer", query({ counts: [1, 1, 0, 0], tail: opt() }), "format-error"],
    ["an authority", query({ counts: [1, 0, 1, 0], tail: opt() }), "format-error"],
    ["two OPT records", query({ counts: [1, 0, 0, 2], tail: Buffer.concat([opt(), opt()]) }), "format-error"],
    ["two OPT records of which one is there", query({ counts: [1, 0, 0, 2], tail: opt() }), "format-error"],
    ["an OPT record that is not there", query({ counts: [1, 0, 0, 1] }), "format-error"],
    ["an OPT record that is not counted", query({ counts: [1, 0, 0, 0], tail: opt() }), "format-error"],
    ["an OPT record with a name", query({ tail: Buffer.concat([wireName("x"), opt().subarray(1)]) }), "format-error"],
    [
      "an OPT record with a length in place of the root",
      query({ tail: Buffer.concat([Buffer.from([1]), opt().subarray(1)]) }),
      "format-error",
    ],
    ["an OPT record named by a pointer", query({ tail: Buffer.concat([numbers(0xc018), opt().subarray(1)]) }), "format-error"],
    ["an A record in place of OPT", query({ tail: Buffer.concat([Buffer.from([0]), numbers(1, 1, 0, 0, 4, 0, 0)]) }), "format-error"],
    ["a TSIG record", query({ tail: Buffer.concat([Buffer.from([0]), numbers(250, 255, 0, 0, 0)]) }), "format-error"],
    ["an OPT record that is cut short", query({ tail: opt().subarray(0, -1) }), "format-error"],
    ["an OPT record longer than the message", query({ tail: opt({ data: cookie }).subarray(0, -1) }), "format-error"],
    ["half an option", query({ tail: opt({ data: cookie.subarray(0, 3) }) }), "format-error"],
    ["an option longer than its record", query({ tail: opt({ data: cookie.subarray(0, -1) }) }), "format-error"],
    ["an OPT record of version 1", query({ tail: opt({ version: 1 }) }), "bad-version"],
    ["a byte behind the question", Buffer.concat([query(), Buffer.from([0])]), "format-error"],
    ["a byte behind the OPT record", query({ tail: Buffer.concat([opt(), Buffer.from([0])]) }), "format-error"],
    ["a question without its class", query().subarray(0, -2), "format-error"],
    ["a question without type and class", query().subarray(0, -4), "format-error"],
    ["a name without an end", query({ name: wireName("example").subarray(0, -1) }).subarray(0, -4), "format-error"],
    ["a label longer than the message", query({ name: Buffer.from([63, 0x61, 0]) }), "format-error"],
    ["a label of 64 bytes", query({ name: wireName("x".repeat(64)) }), "format-error"],
    ["an extended label", query({ name: Buffer.concat([Buffer.from([0x41]), Buffer.alloc(65)]) }), "format-error"],
    ["a label of the reserved kind", query({ name: Buffer.from([0x80, 0]) }), "format-error"],
    ["a name that points to itself", query({ name: numbers(0xc00c) }), "format-error"],
    ["a name that points to its own labels", query({ name: Buffer.from([1, 0x61, 0xc0, 0x0c]) }), "format-error"],
    ["a name that points into the header", query({ name: numbers(0xc000) }), "format-error"],
    ["a name that points behind itself", query({ name: numbers(0xc012) }), "format-error"],
    ["a name of 256 bytes", query({ name: wireName(...long.slice(1), "x".repeat(62)) }), "format-error"],
    ["a name of 257 bytes", query({ name: wireName(...long) }), "format-error"],
    ["a name of 200 labels of one byte", query({ name: wireName(...Array.from({ length: 200 }, () => "a")) }), "format-error"],
    ["4,097 bytes", query({ tail: opt({ data: Buffer.concat([numbers(12, 4053), Buffer.alloc(4053)]) }) }), "format-error"],
  ])("%s", (_what, message, refused) => {
    const parsed = parseDnsQuery(message);
    expect(parsed).toMatchObject({ refused });
    const reply = isRefused(parsed) ? buildDnsError(parsed) : undefined;
    if (refused === "drop") expect(reply).toBeUndefined();
    else
      expect(readReply(reply ?? Buffer.alloc(12))).toMatchObject({
        id: message.readUInt16BE(0),
        questions: [],
        answers: [],
        authorities: [],
      });
  });

  it("answers with the code for it, and repeats opcode and RD", () => {
    const flagsOf = (raw: RawQuery) => {
      const parsed = parseDnsQuery(query(raw));
      return readReply((isRefused(parsed) ? buildDnsError(parsed) : undefined) ?? Buffer.alloc(12));
    };
    expect(flagsOf({ flags: 0x0100, counts: [0, 0, 0, 0] })).toMatchObject({ flags: 0x8181, additional: [] });
    expect(flagsOf({ flags: 0x0000, counts: [0, 0, 0, 0] })).toMatchObject({ flags: 0x8081 });
    expect(flagsOf({ flags: 0x2900 })).toMatchObject({ flags: 0xa984 });
    // BADVERS is 16: 1 in the OPT record, 0 in the header.
    expect(flagsOf({ tail: opt({ version: 9 }) })).toMatchObject({ flags: 0x8180, additional: [{ type: 41, ttl: 0x01000000 }] });
  });
});
