import { Readable } from "node:stream";
import { SandboxError } from "../core/errors.ts";

/** What a program gives a command to read. */
export type Input = string | Uint8Array | AsyncIterable<string | Uint8Array>;

/** A stream of what a command shall read. Disposing ends what was made for it; a stream of bytes that the caller brought stays the caller's. */
export type OpenInput = Disposable & { readonly stream: Readable | undefined };

export function openInput(input: Input | undefined): OpenInput {
  if (input === undefined || (input instanceof Readable && !input.readableObjectMode))
    return { stream: input, [Symbol.dispose]: () => undefined };
  const stream = Readable.from(typeof input === "string" || input instanceof Uint8Array ? [Buffer.from(input)] : piecesOf(input));
  // Nobody reads it any more: what its source says on the way out, nobody has to hear.
  return { stream, [Symbol.dispose]: () => void stream.on("error", () => undefined).destroy() };
}

async function* piecesOf(input: AsyncIterable<unknown>): AsyncGenerator<Uint8Array> {
  for await (const piece of input) {
    if (typeof piece === "string") yield Buffer.from(piece);
    else if (piece instanceof Uint8Array) yield piece;
    else throw new SandboxError("USAGE", `There is a ${piece === null ? "null" : typeof piece} in it`, "Give text or bytes.");
  }
}
