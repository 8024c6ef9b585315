import { Malformed } from "../byte-reader.ts";
import { parseClientHello } from "./hello-message.ts";

/** `more`: neither whole nor wrong so far. `why` is a few words without a full stop, made of our own text alone. */
export type HelloState =
  | { readonly kind: "more" }
  | {
      readonly kind: "hello";
      /** In lower case; `undefined` where the client names no server. */
      readonly serverName: string | undefined;
      /** The protocols in the client's order, their bytes decoded as latin1. */
      readonly alpn: readonly string[];
      /** It carries encrypted_client_hello (0xfe0d), so the server it means may be another one than it names. */
      readonly encrypted: boolean;
    }
  | { readonly kind: "refused"; readonly why: string };

export type HelloReader = { readonly push: (chunk: Buffer) => HelloState };

/**
 * Reads the beginning of what a TLS client sends (RFC 8446 and RFC 5246) up to the end of its ClientHello, in chunks of any size. Nothing is consumed: the
 * caller keeps the bytes for the server, which are at most 6 times 64 KiB until a verdict, since a record may carry a single byte. Never throws. The
 * verdict depends on the bytes and not on the chunks; it is final, and every further push repeats it without looking at its chunk. What comes
 * behind the record that ends the ClientHello is not read: early data, or a second ClientHello after the server asked to retry.
 * Holds at most one handshake message of 64 KiB, and no reference to a chunk.
 */
export function createHelloReader(): HelloReader {
  const message = createMessage();
  const record = createRecordHeader();
  let state: HelloState = { kind: "more" };

  function advance(rest: Buffer): number {
    if (record.missing() === 0) return record.add(rest.readUInt8(0));
    const taken = message.add(rest.subarray(0, record.missing()));
    record.consume(taken);
    if (message.isWhole() && record.missing() > 0) throw new Malformed("bytes follow the ClientHello in its record");
    return taken;
  }

  function read(chunk: Buffer): HelloState {
    for (let at = 0; at < chunk.length; ) {
      at += advance(chunk.subarray(at));
      if (message.isWhole()) return { kind: "hello", ...parseClientHello(message.body()) };
    }
    return { kind: "more" };
  }

  function push(chunk: Buffer): HelloState {
    if (state.kind !== "more") return state;
    try {
      state = read(chunk);
    } catch (thrown) {
      if (!(thrown instanceof Malformed)) throw thrown;
      state = { kind: "refused", why: thrown.message };
    }
    return state;
  }

  return { push };
}

const ALERTS = {
  unexpected_message: 10,
  handshake_failure: 40,
  access_denied: 49,
  internal_error: 80,
  unrecognized_name: 112,
} as const;

/** A fatal alert in a record of its own, as a server sends it before it chose a version (RFC 8446, sections 5.1 and 6.2). */
export function tlsAlert(description: keyof typeof ALERTS): Buffer {
  return Buffer.from([0x15, 0x03, 0x03, 0x00, 0x02, 0x02, ALERTS[description]]);
}

const HANDSHAKE_RECORD = 22;
const MAX_FRAGMENT = 2 ** 14;
const CLIENT_HELLO = 1;
const MESSAGE_HEADER = 4;
const MAX_MESSAGE = 65_536;

/** The header of one record after the other (RFC 8446, section 5.1), judged byte by byte, so that what is not TLS is known at its first byte. */
function createRecordHeader() {
  let records = 0;
  let at = 0;
  let length = 0;
  let missing = 0;

  function judge(byte: number): void {
    if (at === 0 && byte !== HANDSHAKE_RECORD)
      throw new Malformed(records === 0 ? "not TLS" : "a record of another type inside the ClientHello");
    if (at === 1 && byte !== 3) throw new Malformed(records === 0 ? "not TLS" : "a record of another version inside the ClientHello");
    if (at < 3) return;
    length = length * 256 + byte;
    if (at < 4) return;
    if (length === 0) throw new Malformed("an empty record");
    if (length > MAX_FRAGMENT) throw new Malformed("a record longer than 16384 bytes");
  }

  function add(byte: number): number {
    judge(byte);
    at += 1;
    if (at < 5) return 1;
    missing = length;
    length = 0;
    at = 0;
    records += 1;
    return 1;
  }

  return {
    add,
    consume: (taken: number) => {
      missing -= taken;
    },
    /** How many bytes of the record's fragment are still to come; 0 within and before a header. */
    missing: () => missing,
  };
}

/** The one handshake message (RFC 8446, section 4), put together from the fragments of records. */
function createMessage() {
  let bytes = Buffer.alloc(MESSAGE_HEADER);
  let filled = 0;
  let whole = false;

  function open(): void {
    const length = MESSAGE_HEADER + bytes.readUIntBE(1, 3);
    if (length > MAX_MESSAGE) throw new Malformed("a ClientHello longer than 64 KiB");
    whole = length === MESSAGE_HEADER;
    const header = bytes;
    bytes = Buffer.alloc(length);
    header.copy(bytes);
  }

  function add(fragment: Buffer): number {
    const taken = fragment.copy(bytes, filled);
    filled += taken;
    if (bytes.readUInt8(0) !== CLIENT_HELLO) throw new Malformed("a handshake message that is not a ClientHello");
    if (filled < bytes.length) return taken;
    if (filled === MESSAGE_HEADER) open();
    else whole = true;
    return taken;
  }

  return { add, isWhole: () => whole, body: () => bytes.subarray(MESSAGE_HEADER) };
}
