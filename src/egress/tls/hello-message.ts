import { isIP } from "node:net";
import { type ByteReader, createByteReader, Malformed } from "../byte-reader.ts";

export type ClientHello = {
  readonly serverName: string | undefined;
  readonly alpn: readonly string[];
  readonly encrypted: boolean;
};

/**
 * Reads the body of a ClientHello (RFC 8446, section 4.1.2; RFC 5246, section 7.4.1.2) to its last byte. Throws `Malformed` for anything that two readers could take
 * differently, since the server will read the same bytes after us: lengths that do not fit, an extension that comes twice, bytes behind the end.
 */
export function parseClientHello(body: Buffer): ClientHello {
  const reader = createByteReader(body);
  if (reader.uint8("the version") !== 3) throw new Malformed("a ClientHello of another version");
  reader.take(1, "the version");
  reader.take(32, "the random");
  if (reader.take(reader.uint8("the session"), "the session").length > 32) throw new Malformed("a session longer than 32 bytes");
  const suites = takeVector(reader, "the cipher suites");
  if (suites.length === 0 || suites.length % 2 === 1) throw new Malformed("cipher suites of a wrong length");
  if (!reader.take(reader.uint8("the compression methods"), "the compression methods").includes(0))
    throw new Malformed("compression methods without null");
  const extensions = parseExtensions(reader);
  const names = extensions.get(SERVER_NAME);
  const protocols = extensions.get(ALPN);
  return {
    serverName: names === undefined ? undefined : parseServerName(names),
    alpn: protocols === undefined ? [] : parseProtocols(protocols),
    encrypted: extensions.has(ENCRYPTED_CLIENT_HELLO),
  };
}

const SERVER_NAME = 0;
const ALPN = 16;
const ENCRYPTED_CLIENT_HELLO = 0xfe0d;
const HOST_NAME = 0;

/** Bytes behind their length in two bytes. */
function takeVector(reader: ByteReader, what: string): Buffer {
  return reader.take(reader.uint16(what), what);
}

/** What each extension holds. None is legal up to TLS 1.2, and then their length is left out too. */
function parseExtensions(reader: ByteReader): ReadonlyMap<number, Buffer> {
  const found = new Map<number, Buffer>();
  if (reader.left() === 0) return found;
  const list = createByteReader(takeVector(reader, "the list of extensions"));
  reader.end("the extensions");
  while (list.left() > 0) {
    const type = list.uint16("an extension");
    if (found.has(type)) throw new Malformed("an extension comes twice");
    found.set(type, takeVector(list, "an extension"));
  }
  return found;
}

/** Exactly one name of a host (RFC 6066, section 3). */
function parseServerName(extension: Buffer): string {
  const outer = createByteReader(extension);
  const list = createByteReader(takeVector(outer, "the list of server names"));
  outer.end("the list of server names");
  if (list.uint8("the server name") !== HOST_NAME) throw new Malformed("a server name that is not the name of a host");
  const name = takeVector(list, "the server name");
  list.end("the server name");
  return judgeHostName(name);
}

const MAX_NAME = 253;
const LABEL = /^[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?$/;
/** What readers of addresses take for a number (URL Standard, "ends in a number"): `127.1`, `0x7f000001` and `1.2.3.4` do not name a host. */
const NUMBER = /^(?:\d+|0x[0-9a-f]*)$/;

/** Letters, digits, hyphens and underscores, since names with underscores are in use; in lower case, since DNS does not tell the cases apart. */
function judgeHostName(bytes: Buffer): string {
  if (bytes.length > MAX_NAME) throw new Malformed("a server name longer than 253 bytes");
  if (bytes.some((byte) => byte > 0x7f)) throw new Malformed("a server name that is not ASCII");
  const name = bytes.toString("latin1").toLowerCase();
  const labels = name.split(".");
  if (isIP(name) !== 0 || NUMBER.test(labels.at(-1) ?? "")) throw new Malformed("a server name that is an IP address");
  if (!labels.every((label) => LABEL.test(label))) throw new Malformed("a server name that is not a host name");
  return name;
}

/** At least one protocol, none of them empty (RFC 7301, section 3.1). */
function parseProtocols(extension: Buffer): readonly string[] {
  const outer = createByteReader(extension);
  const list = createByteReader(takeVector(outer, "the list of protocols"));
  outer.end("the list of protocols");
  const protocols: string[] = [];
  do {
    const protocol = list.take(list.uint8("a protocol"), "a protocol").toString("latin1");
    if (protocol === "") throw new Malformed("an empty protocol");
    protocols.push(protocol);
  } while (list.left() > 0);
  return protocols;
}
