import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { connect } from "node:tls";
import { describe, expect, it } from "vitest";
import { createHelloReader, type HelloState, tlsAlert } from "../../../src/egress/tls/client-hello.ts";
import { fuzzRuns } from "../../lab/fuzz-runs.ts";
import { fc } from "../../lab/property.ts";
import { spentMs } from "../../lab/spent-time.ts";
import { alpn, extension, GOOD, helloMessage, NONE, named, raw, read, readByteByByte, record, records, serverName } from "./hello-bytes.ts";

describe("createHelloReader reads", () => {
  const hello = (serverName: string | undefined, protocols: readonly string[] = [], encrypted = false): HelloState => ({
    kind: "hello",
    serverName,
    alpn: protocols,
    encrypted,
  });

  it.each<[string, Buffer, HelloState]>([
    ["a name in any case as one in lower case", named("WwW.Example.COM"), hello("www.example.com")],
    ["a name of one label", named("localhost"), hello("localhost")],
    ["underscores and doubled hyphens", named("_a.r3---sn_x.xn--bcher-kva.example"), hello("_a.r3---sn_x.xn--bcher-kva.example")],
    ["a name of 253 bytes", named(`${"a.".repeat(126)}a`), hello(`${"a.".repeat(126)}a`)],
    ["numbers in front of a name", named("1.2.3.4.example"), hello("1.2.3.4.example")],
    ["no extensions at all", raw({ extensions: undefined }), hello(undefined)],
    ["an empty list of extensions", raw({ extensions: [] }), hello(undefined)],
    ["no session", raw({ session: NONE }), hello("example.com")],
    ["SSL 3.0 and versions to come", raw({ version: [3, 0xff] }), hello("example.com")],
    ["any 3.x in a record", record(GOOD, [22, 3, 0xff]), hello("example.com")],
    ["compression methods beside null", raw({ compression: Buffer.from([1, 0]) }), hello("example.com")],
    ["protocols byte by byte", raw({ extensions: [alpn("h2", "\u00fa\u00fa", "h2")] }), hello(undefined, ["h2", "\u00fa\u00fa", "h2"])],
    [
      "encrypted_client_hello",
      raw({ extensions: [extension(0xfe0d, Buffer.alloc(9)), serverName("cover.example")] }),
      hello("cover.example", [], true),
    ],
    ["extensions of 64 KiB", raw({ extensions: [extension(21, Buffer.alloc(65_430)), serverName("a.example")] }), hello("a.example")],
    ["what is followed by another record", Buffer.concat([records(GOOD), record(Buffer.alloc(9), [23, 3, 3])]), hello("example.com")],
  ])("%s", (_what, bytes, state) => {
    expect(read(bytes)).toEqual(state);
    expect(read(bytes.subarray(0, 3), bytes.subarray(3))).toEqual(state);
  });

  it("the largest message in the smallest records, in time that grows with the bytes", () => {
    const filler = 65_536 - helloMessage({ extensions: [extension(21, NONE)] }).length;
    const message = helloMessage({ extensions: [extension(21, Buffer.alloc(filler))] });
    expect(message.length).toBe(65_536);
    const bytes = records(message, 1);
    const start = process.cpuUsage();
    expect(readByteByByte(bytes)).toEqual(hello(undefined));
    expect(read(bytes)).toEqual(hello(undefined));
    expect(spentMs(start)).toBeLessThan(2000);
  });

  it("16,000 extensions, and finds the one that comes twice", () => {
    const many = Array.from({ length: 16_000 }, (_, type) => extension(type + 0x100, NONE));
    expect(read(raw({ extensions: many }))).toEqual(hello(undefined));
    expect(read(raw({ extensions: [...many, extension(0x100, NONE)] }))).toEqual({ kind: "refused", why: "an extension comes twice" });
  });

  it("nothing more after its verdict, which every further push repeats", () => {
    const good = createHelloReader();
    const verdict = good.push(records(GOOD));
    expect(good.push(Buffer.from("GET"))).toBe(verdict);
    expect(good.push(named("evil.example"))).toBe(verdict);
    const bad = createHelloReader();
    expect(bad.push(Buffer.from([21])).kind).toBe("refused");
    expect(bad.push(records(GOOD))).toEqual({ kind: "refused", why: "not TLS" });
  });

  it("nothing from an empty chunk, and nothing from a chunk that changes after it was pushed", () => {
    const reader = createHelloReader();
    const bytes = records(GOOD);
    expect(reader.push(NONE)).toEqual({ kind: "more" });
    const chunk = Buffer.from(bytes.subarray(0, -4));
    expect(reader.push(chunk)).toEqual({ kind: "more" });
    chunk.fill(0);
    expect(reader.push(bytes.subarray(-4))).toEqual(hello("example.com"));
  });

  it("whatever is built well, cut into any records and chunks", () => {
    const label = fc.stringMatching(/^[A-Za-z_]([A-Za-z0-9_-]{0,20}[A-Za-z0-9_])?$/);
    const name = fc.array(label, { minLength: 1, maxLength: 5 }).map((labels) => labels.join("."));
    const protocols = fc.uniqueArray(fc.string({ unit: "binary-ascii", minLength: 1, maxLength: 20 }), { minLength: 1, maxLength: 5 });
    const others = fc.uniqueArray(fc.integer({ min: 17, max: 0xfdff }), { maxLength: 8 });
    const fields = fc.record({
      name: fc.option(name),
      protocols: fc.option(protocols),
      others,
      ech: fc.boolean(),
      data: fc.uint8Array({ maxLength: 40 }),
    });
    fc.assert(
      fc.property(fields, fc.integer({ min: 1, max: 300 }), fc.integer({ min: 1, max: 300 }), (parts, recordSize, chunkSize) => {
        const extensions = [
          ...(parts.name === null ? [] : [serverName(parts.name)]),
          ...parts.others.map((type) => extension(type, Buffer.from(parts.data))),
          ...(parts.protocols === null ? [] : [alpn(...parts.protocols)]),
          ...(parts.ech ? [extension(0xfe0d, Buffer.from(parts.data))] : []),
        ];
        const bytes = records(helloMessage({ extensions }), recordSize);
        const chunks = Array.from({ length: Math.ceil(bytes.length / chunkSize) }, (_, at) =>
          bytes.subarray(at * chunkSize, (at + 1) * chunkSize),
        );
        const expected = hello(parts.name?.toLowerCase(), parts.protocols ?? [], parts.ech);
        expect(read(...chunks)).toEqual(expected);
        expect(read(...chunks.slice(0, -1))).toEqual({ kind: "more" });
      }),
      { numRuns: fuzzRuns(500) },
    );
  });
});

describe("tlsAlert", () => {
  it.each([
    ["unrecognized_name", "ERR_SSL_TLSV1_UNRECOGNIZED_NAME"],
    ["access_denied", "ERR_SSL_TLSV1_ALERT_ACCESS_DENIED"],
    ["handshake_failure", "ERR_SSL_SSLV3_ALERT_HANDSHAKE_FAILURE"],
    ["internal_error", "ERR_SSL_TLSV1_ALERT_INTERNAL_ERROR"],
    ["unexpected_message", "ERR_SSL_SSLV3_ALERT_UNEXPECTED_MESSAGE"],
  ] as const)("%s reaches a client as %s", async (description, code) => {
    const server = createServer((socket) => void socket.once("data", () => socket.end(tlsAlert(description))));
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const client = connect({ host: "127.0.0.1", port: (server.address() as AddressInfo).port, servername: "a.example" });
    const [error] = (await once(client, "error").catch((thrown: unknown) => [thrown])) as [unknown];
    expect(error).toMatchObject({ code });
    server.close();
  });
});
