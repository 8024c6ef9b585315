import type { Duplex } from "node:stream";
import { createHelloReader, type HelloState } from "./client-hello.ts";

/** What a connection begins with, as far as it can be told. `silent`: nothing came in time. `ended`: the task's half ended before it could be told; what came until then is `head`. */
export type Opening =
  | { readonly kind: "tls"; readonly serverName: string | undefined }
  | { readonly kind: "http" }
  | { readonly kind: "other" }
  | { readonly kind: "silent" }
  | { readonly kind: "ended"; readonly head: Buffer }
  | { readonly kind: "refused"; readonly why: string };

const TLS_HANDSHAKE = 22;
const LONGEST_LINE = 16_384;
const LINE_FEED = 0x0a;
const REQUEST_LINE = /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,32} \S+ HTTP\/(\d\.\d)\r?$/;

/** `mustSpeak`: the protocol is one in which the client speaks first, so that it is waited for. */
export type Expectation = { readonly mustSpeak: boolean };

/** How long a client has for its first message where it has to speak first, and wherever it began with TLS. */
const SPEAK_MS = 15_000;
/** How long one that may listen first is waited for. */
const LISTEN_MS = 100;

/**
 * Reads the beginning of a connection and puts it back: the ClientHello of TLS, the first line of an HTTP request, or anything else. Gives up after a
 * while; nothing is lost then either.
 */
export async function readOpening(connection: Duplex, { mustSpeak }: Expectation): Promise<Opening> {
  const held: Buffer[] = [];
  const reader = createReader();
  return new Promise((resolve) => {
    const onData = (chunk: Buffer): void => {
      if (held.length === 0 && chunk[0] === TLS_HANDSHAKE) {
        clearTimeout(late);
        late = setTimeout(onLate, SPEAK_MS);
      }
      held.push(chunk);
      const opening = reader(chunk);
      if (opening !== undefined) settle(opening);
    };
    const onEnd = (): void => settle({ kind: "ended", head: Buffer.concat(held) });
    const onLate = (): void => {
      if (held.length === 0) settle({ kind: "silent" });
      else if (mustSpeak || held[0]?.[0] === TLS_HANDSHAKE) settle({ kind: "refused", why: "it did not finish its first message" });
      else settle({ kind: "other" });
    };
    let late = setTimeout(onLate, mustSpeak ? SPEAK_MS : LISTEN_MS);
    function settle(opening: Opening): void {
      clearTimeout(late);
      connection.off("data", onData).off("end", onEnd).off("close", onEnd).pause();
      if (held.length > 0 && !connection.readableEnded && !connection.destroyed) connection.unshift(Buffer.concat(held));
      resolve(opening);
    }
    connection.on("data", onData).on("end", onEnd).on("close", onEnd);
  });
}

type Reader = (chunk: Buffer) => Opening | undefined;

function createReader(): Reader {
  let reader: Reader | undefined;
  return (chunk) => {
    reader ??= chunk[0] === TLS_HANDSHAKE ? createTlsReader() : createLineReader();
    return reader(chunk);
  };
}

function createTlsReader(): Reader {
  const hello = createHelloReader();
  return (chunk) => openingOf(hello.push(chunk));
}

function openingOf(state: HelloState): Opening | undefined {
  switch (state.kind) {
    case "more":
      return undefined;
    case "hello":
      return { kind: "tls", serverName: state.serverName };
    case "refused":
      return { kind: "refused", why: `its TLS hello can't be read: ${state.why}` };
  }
}

function createLineReader(): Reader {
  let line = "";
  return (chunk) => {
    const end = chunk.indexOf(LINE_FEED);
    line += chunk.toString("latin1", 0, end < 0 ? Math.min(chunk.length, LONGEST_LINE) : end);
    if (/[^\x20-\x7e\r]/.test(line) || line.length > LONGEST_LINE) return { kind: "other" };
    if (end < 0) return undefined;
    const version = REQUEST_LINE.exec(line)?.[1];
    if (version === undefined) return { kind: "other" };
    return version.startsWith("1.") ? { kind: "http" } : { kind: "refused", why: `it speaks HTTP/${version} without TLS` };
  };
}
