import { describe, expect, it } from "vitest";
import { tlsAlert } from "../../src/egress/client-hello.ts";
import {
  alpn,
  extension,
  handshake,
  helloMessage,
  named,
  raw,
  read,
  readByteByByte,
  record,
  records,
  serverName,
  vector,
} from "./hello-bytes.ts";

const NONE = Buffer.alloc(0);
const GOOD = helloMessage();

describe("createHelloReader refuses", () => {
  it.each<[string, Buffer, string]>([
    ["an HTTP request", Buffer.from("GET / HTTP/1.1\r\n"), "not TLS"],
    ["one byte of an HTTP request", Buffer.from("G"), "not TLS"],
    ["a greeting of SSH", Buffer.from("SSH-2.0-x\r\n"), "not TLS"],
    ["an SSLv2 hello", Buffer.from("802e0100020015000000100100800200800300800400800500800600", "hex"), "not TLS"],
    ["an alert", tlsAlert("internal_error"), "not TLS"],
    ["application data", record(GOOD, [23, 3, 3]), "not TLS"],
    ["a record of version 2", record(GOOD, [22, 2, 0]), "not TLS"],
    ["a record of DTLS", record(GOOD, [22, 254, 253]), "not TLS"],
    ["an empty record", record(NONE), "an empty record"],
    ["an empty record in the middle", Buffer.concat([record(GOOD.subarray(0, 9)), record(NONE)]), "an empty record"],
    ["a record of 16385 bytes", record(Buffer.alloc(16_385, 1)), "a record longer than 16384 bytes"],
    [
      "an alert in the middle",
      Buffer.concat([record(GOOD.subarray(0, 9)), tlsAlert("internal_error")]),
      "a record of another type inside the ClientHello",
    ],
    [
      "a change of versions in the middle",
      Buffer.concat([record(GOOD.subarray(0, 9)), record(GOOD.subarray(9), [22, 4, 0])]),
      "a record of another version inside the ClientHello",
    ],
    ["a ServerHello", records(handshake(GOOD.subarray(4), 2)), "a handshake message that is not a ClientHello"],
    ["a HelloRequest", records(handshake(NONE, 0)), "a handshake message that is not a ClientHello"],
    ["a message longer than 64 KiB", record(Buffer.from([1, 0, 0xff, 0xfd])), "a ClientHello longer than 64 KiB"],
    ["a message of 16 MiB", record(Buffer.from([1, 0xff, 0xff, 0xff])), "a ClientHello longer than 64 KiB"],
    ["an empty ClientHello", records(handshake(NONE)), "the version is cut short"],
    ["a second message in the record", record(Buffer.concat([GOOD, GOOD])), "bytes follow the ClientHello in its record"],
    [
      "one byte behind the message in its record",
      record(Buffer.concat([GOOD, Buffer.from([0])])),
      "bytes follow the ClientHello in its record",
    ],
    [
      "such a byte that did not arrive yet",
      record(Buffer.concat([GOOD, NONE, Buffer.alloc(1)])).subarray(0, -1),
      "bytes follow the ClientHello in its record",
    ],
    ["another version", raw({ version: [2, 0] }), "a ClientHello of another version"],
    ["a session of 33 bytes", raw({ session: Buffer.alloc(33) }), "a session longer than 32 bytes"],
    ["no cipher suites", raw({ suites: NONE }), "cipher suites of a wrong length"],
    ["one and a half cipher suites", raw({ suites: Buffer.alloc(3) }), "cipher suites of a wrong length"],
    ["no compression methods", raw({ compression: NONE }), "compression methods without null"],
    ["compression methods without null", raw({ compression: Buffer.from([1]) }), "compression methods without null"],
    ["a byte in place of extensions", raw({ extensions: undefined, tail: Buffer.alloc(1) }), "the list of extensions is cut short"],
    ["bytes behind the extensions", raw({ tail: Buffer.from([0]) }), "bytes follow the extensions"],
    ["a second list of extensions", raw({ tail: vector(2, serverName("evil.example")) }), "bytes follow the extensions"],
    [
      "a list of extensions that is longer than the message",
      records(handshake(helloMessage().subarray(4, -1))),
      "the list of extensions is cut short",
    ],
    [
      "an extension that is longer than their list",
      raw({ extensions: [serverName("a.example").subarray(0, -1)] }),
      "an extension is cut short",
    ],
    ["half the type of an extension", raw({ extensions: [Buffer.from([0])] }), "an extension is cut short"],
    ["two server_name extensions", raw({ extensions: [serverName("a.example"), serverName("b.example")] }), "an extension comes twice"],
    ["two alike", raw({ extensions: [serverName("a.example"), serverName("a.example")] }), "an extension comes twice"],
    ["two ALPN extensions", raw({ extensions: [alpn("h2"), alpn("h2")] }), "an extension comes twice"],
    [
      "two unknown extensions of one type",
      raw({ extensions: [extension(0x3a3a, NONE), extension(0x3a3a, NONE)] }),
      "an extension comes twice",
    ],
    ["an empty server_name extension", raw({ extensions: [extension(0, NONE)] }), "the list of server names is cut short"],
    ["an empty list of names", raw({ extensions: [serverName()] }), "the server name is cut short"],
    ["two names", raw({ extensions: [serverName("a.example", "b.example")] }), "bytes follow the server name"],
    [
      "bytes behind the list of names",
      raw({ extensions: [extension(0, Buffer.concat([serverName("a.example").subarray(4), NONE, Buffer.alloc(1)]))] }),
      "bytes follow the list of server names",
    ],
    [
      "a name of another type",
      raw({ extensions: [extension(0, vector(2, Buffer.from([1, 0, 1, 0x61])))] }),
      "a server name that is not the name of a host",
    ],
    [
      "a name that is longer than its list",
      raw({ extensions: [extension(0, vector(2, Buffer.from([0, 0, 2, 0x61])))] }),
      "the server name is cut short",
    ],
    ["an empty ALPN extension", raw({ extensions: [extension(16, NONE)] }), "the list of protocols is cut short"],
    ["an empty list of protocols", raw({ extensions: [alpn()] }), "a protocol is cut short"],
    ["an empty protocol", raw({ extensions: [alpn("h2", "")] }), "an empty protocol"],
    [
      "a protocol that is longer than its list",
      raw({ extensions: [extension(16, vector(2, Buffer.from([3, 0x68, 0x32])))] }),
      "a protocol is cut short",
    ],
    [
      "bytes behind the list of protocols",
      raw({ extensions: [extension(16, Buffer.from([0, 2, 1, 0x61, 0]))] }),
      "bytes follow the list of protocols",
    ],
  ])("%s", (_what, bytes, why) => {
    expect(read(bytes)).toEqual({ kind: "refused", why });
    expect(readByteByByte(bytes)).toEqual({ kind: "refused", why });
  });

  it.each<[string | Buffer, string]>([
    ["", "a server name that is not a host name"],
    [".", "a server name that is not a host name"],
    ["example.com.", "a server name that is not a host name"],
    [".example.com", "a server name that is not a host name"],
    ["a..example", "a server name that is not a host name"],
    ["a.example\0.evil.example", "a server name that is not a host name"],
    ["a.example\0", "a server name that is not a host name"],
    ["a.example\r\nx", "a server name that is not a host name"],
    ["a.example\n", "a server name that is not a host name"],
    ["a.example/x", "a server name that is not a host name"],
    ["a.example:443", "a server name that is not a host name"],
    ["user@a.example", "a server name that is not a host name"],
    ["*.example", "a server name that is not a host name"],
    ["a%2eexample", "a server name that is not a host name"],
    ["a b.example", "a server name that is not a host name"],
    ["-a.example", "a server name that is not a host name"],
    ["a-.example", "a server name that is not a host name"],
    [`${"a".repeat(64)}.example`, "a server name that is not a host name"],
    [`${"a.".repeat(126)}aa`, "a server name longer than 253 bytes"],
    ["b\u00fccher.example", "a server name that is not ASCII"],
    ["example\u3002com", "a server name that is not ASCII"],
    ["\u212aelvin.example", "a server name that is not ASCII"],
    [Buffer.from([0x61, 0xae, 0x63]), "a server name that is not ASCII"],
    ["127.0.0.1", "a server name that is an IP address"],
    ["127.1", "a server name that is an IP address"],
    ["2130706433", "a server name that is an IP address"],
    ["0x7f000001", "a server name that is an IP address"],
    ["0177.0.0.0x1", "a server name that is an IP address"],
    ["example.0X", "a server name that is an IP address"],
    ["::1", "a server name that is an IP address"],
    ["::ffff:1.2.3.4", "a server name that is an IP address"],
    ["[::1]", "a server name that is not a host name"],
  ])("the server name %j", (name, why) => {
    expect(read(named(name))).toEqual({ kind: "refused", why });
  });
});
