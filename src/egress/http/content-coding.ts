import type { Transform } from "node:stream";
import { constants, createBrotliDecompress, createGunzip, createInflate } from "node:zlib";
import { valuesOf } from "./request.ts";

/** What takes the codings of a body off (RFC 9110 8.4), to be gone through in this order; or what nothing here takes off. */
export type Decoding = { readonly decoders: readonly Transform[] } | { readonly unknown: string };

/** An empty body has no end of its coding either; that a body came whole is what its framing says. */
const LENIENT = { finishFlush: constants.Z_SYNC_FLUSH };
const LENIENT_BROTLI = { finishFlush: constants.BROTLI_OPERATION_FLUSH };

const DECODERS: ReadonlyMap<string, () => Transform> = new Map<string, () => Transform>([
  ["gzip", () => createGunzip(LENIENT)],
  ["x-gzip", () => createGunzip(LENIENT)],
  ["deflate", () => createInflate(LENIENT)],
  ["br", () => createBrotliDecompress(LENIENT_BROTLI)],
]);

/** The others that are registered (IANA, HTTP Content Coding Registry). No other word of an origin is repeated: it could be anything. */
const REGISTERED = new Set(["aes128gcm", "compress", "dcb", "dcz", "exi", "pack200-gzip", "x-compress", "zstd"]);

/** Nobody means more codings, each of which could make a thousand times as much of a body. */
const MOST_CODINGS = 2;

/** Reads `Content-Encoding`, which names codings in the order in which they were put on. */
export function decodingOf(rawHeaders: readonly string[]): Decoding {
  const named = valuesOf(rawHeaders, "content-encoding").flatMap((value) => value.toLowerCase().split(","));
  const codings = named.map((coding) => coding.trim()).filter((coding) => coding !== "" && coding !== "identity");
  const unknown = codings.find((coding) => !DECODERS.has(coding));
  if (unknown !== undefined) return { unknown: REGISTERED.has(unknown) ? unknown : "something unknown" };
  if (codings.length > MOST_CODINGS) return { unknown: `${codings.length} codings` };
  return { decoders: codings.toReversed().flatMap((coding) => DECODERS.get(coding)?.() ?? []) };
}
