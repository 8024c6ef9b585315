import type { Transform } from "node:stream";
import { constants, createBrotliDecompress, createGunzip, createInflate } from "node:zlib";
import { valuesOf } from "./request.ts";

/** What takes the codings of a body off (RFC 9110 8.4), to be gone through in this order; or the coding that nothing here takes off. */
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

/** Nobody means more codings, each of which could make a thousand times as much of a body. */
const MOST_CODINGS = 2;

/** Reads `Content-Encoding`, which names codings in the order in which they were put on. */
export function decodingOf(rawHeaders: readonly string[]): Decoding {
  const named = valuesOf(rawHeaders, "content-encoding").flatMap((value) => value.toLowerCase().split(","));
  const codings = named.map((coding) => coding.trim()).filter((coding) => coding !== "" && coding !== "identity");
  const unknown = codings.find((coding) => !DECODERS.has(coding));
  if (unknown !== undefined || codings.length > MOST_CODINGS)
    return { unknown: JSON.stringify((unknown ?? codings.join(", ")).slice(0, 40)) };
  return { decoders: codings.toReversed().flatMap((coding) => DECODERS.get(coding)?.() ?? []) };
}
