import { beforeAll, describe, expect, it } from "vitest";
import { fuzzRuns } from "../../lab/fuzz-runs.ts";
import { fc } from "../../lab/property.ts";
import {
  alpn,
  extension,
  handshake,
  helloMessage,
  joinFragments,
  NONE,
  raw,
  read,
  readByteByByte,
  record,
  records,
  serverName,
  vector,
} from "./hello-bytes.ts";
import { captureHello, opensslServerName, startNode } from "./hello-clients.ts";
import { referenceHello } from "./hello-reference.ts";

describe("createHelloReader, with a hello that was tampered with,", () => {
  const corpus: Buffer[] = [];
  beforeAll(async () => {
    corpus.push(
      await captureHello(startNode({ servername: "api.example", ALPNProtocols: ["h2", "http/1.1"] })),
      await captureHello(startNode({ servername: "old.example", maxVersion: "TLSv1.2" })),
      records(helloMessage({ extensions: [alpn("h2"), extension(0xfe0d, Buffer.alloc(3)), serverName("tiny.example")] })),
      records(helloMessage(), 11),
    );
  });

  const edit = fc.record({
    /** Anywhere, or counted from 20 bytes in front of the name. */
    at: fc.nat({ max: 700 }),
    nearName: fc.boolean(),
    put: fc.oneof(
      fc.uint8Array({ minLength: 1, maxLength: 1 }),
      fc.uint8Array({ maxLength: 6 }),
      fc.constantFrom(".", "B", "-", "\0", "\u00e9", "1").map((text) => new Uint8Array(Buffer.from(text, "latin1"))),
      fc.constant(new Uint8Array(serverName("evil.example"))),
    ),
    /** How many bytes give way to what is put; `undefined` for as many as that has. */
    cut: fc.option(fc.nat({ max: 8 }), { nil: undefined }),
  });
  const tampered = fc
    .record({ seed: fc.nat({ max: 3 }), edits: fc.array(edit, { maxLength: 3 }), refit: fc.boolean() })
    .map(({ seed, edits, refit }) => {
      let bytes = corpus[seed] ?? NONE;
      // Most edits would only be noticed by the lengths of record and message; with these made to fit, the fields inside are reached.
      if (refit) bytes = joinFragments(bytes).subarray(4);
      for (const { at, nearName, cut, put } of edits) {
        const place = nearName ? Math.max(0, bytes.indexOf("xample") - 20) + (at % 40) : at % (bytes.length + 1);
        bytes = Buffer.concat([bytes.subarray(0, place), put, bytes.subarray(place + (cut ?? put.length))]);
      }
      return refit ? records(handshake(bytes)) : bytes;
    });

  const agree = (bytes: Buffer) => {
    const state = read(bytes);
    const { kind, ...content } = state;
    expect(kind === "hello" ? content : kind).toEqual(referenceHello(bytes));
    expect(readByteByByte(bytes)).toEqual(state);
  };

  it("says what a second reader says, in one chunk and in many", () => {
    fc.assert(fc.property(tampered, agree), { numRuns: fuzzRuns(3000) });
  });

  it("says the same of extensions made of bytes that matter", () => {
    const byte = fc.constantFrom(0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 9, 16, 0x2e, 0x61, 0x62, 0x31);
    const data = fc.array(byte, { maxLength: 14 }).map((bytes) => Buffer.from(bytes));
    const built = fc.array(fc.tuple(fc.constantFrom(0, 0, 16, 16, 5, 0xfe0d), data), { maxLength: 3 });
    const one = fc.oneof(
      built.map((extensions) => raw({ extensions: extensions.map(([type, content]) => extension(type, content)) })),
      fc.tuple(fc.constantFrom(0, 16), data).map(([type, content]) => raw({ extensions: [extension(type, vector(2, content))] })),
      data.map((content) => raw({ extensions: [extension(0, vector(2, Buffer.concat([Buffer.from([0]), vector(2, content)])))] })),
      data.map((content) => raw({ extensions: undefined, tail: content })),
    );
    fc.assert(fc.property(one, agree), { numRuns: fuzzRuns(3000) });
  });

  it("says the same of random bytes, alone, in a record and in a message", () => {
    const bytes = fc.uint8Array({ maxLength: 200 }).map((values) => Buffer.from(values));
    const one = fc.oneof(
      bytes,
      bytes.map((content) => record(content)),
      bytes.map((content) => records(handshake(content))),
      bytes.map((content) => records(handshake(Buffer.concat([Buffer.from([3, 3]), Buffer.alloc(32), content])))),
    );
    fc.assert(fc.property(one, agree), { numRuns: fuzzRuns(3000) });
  });

  it("never passes one on in which OpenSSL finds another name", async () => {
    let found = 0;
    await fc.assert(
      fc.asyncProperty(tampered, async (bytes) => {
        const theirs = await opensslServerName(bytes);
        if (theirs === undefined) return;
        found += 1;
        const ours = read(bytes);
        expect(ours.kind).not.toBe("more");
        if (ours.kind === "hello") expect(ours.serverName).toBe(theirs.toLowerCase());
      }),
      { numRuns: fuzzRuns(2000) },
    );
    // Else this compared nothing.
    expect(found).toBeGreaterThan(80);
  });

  it("refuses or waits when any one byte of a length is another", () => {
    const bytes = records(helloMessage());
    const lengths = [3, 4, 6, 7, 8, 43, 76, 77, 82, 84, 85, 88, 89, 90, 91, 93, 94];
    for (const at of lengths)
      for (const change of [1, 255]) {
        const wrong = Buffer.from(bytes);
        wrong[at] = ((bytes[at] ?? 0) + change) & 255;
        expect([at, read(wrong).kind]).not.toEqual([at, "hello"]);
      }
  });
});
