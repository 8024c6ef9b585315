import { badBatch } from "./bad-batch.ts";

/** The most that one task may take, in bytes: what is held in memory at once. */
export const LARGEST_TASK = 16 * 1024 * 1024;

const LINE_FEED = 0x0a;

/** One line of the list: its number from 1, and its text without the line's end. */
export type Line = { readonly line: number; readonly text: string };

/** The lines of a stream of UTF-8, with line feeds as their ends and nothing else. Throws `BAD_BATCH` for other bytes and for a line that is too long. */
export async function* readLines(bytes: AsyncIterable<Buffer>, source: string, limit = LARGEST_TASK): AsyncGenerator<Line> {
  let line = 1;
  let pieces: Buffer[] = [];
  let size = 0;
  for await (const chunk of bytes) {
    let from = 0;
    for (let at = chunk.indexOf(LINE_FEED); at !== -1; at = chunk.indexOf(LINE_FEED, from)) {
      pieces.push(chunk.subarray(from, at));
      yield decode(pieces, { source, line });
      pieces = [];
      size = 0;
      line += 1;
      from = at + 1;
    }
    const rest = chunk.subarray(from);
    size += rest.length;
    if (size > limit)
      throw badBatch({ source, line }, { sentence: "the line is longer than 16 MiB", hint: "Pass data as a file in a workspace." });
    if (rest.length > 0) pieces.push(rest);
  }
  if (pieces.length > 0) yield decode(pieces, { source, line });
}

function decode(pieces: readonly Buffer[], place: { readonly source: string; readonly line: number }): Line {
  const bytes = pieces.length === 1 && pieces[0] !== undefined ? pieces[0] : Buffer.concat(pieces);
  const text = decodeUtf8(bytes);
  if (text === undefined) throw badBatch(place, NOT_UTF8);
  const start = place.line === 1 && text.startsWith("\ufeff") ? 1 : 0;
  return { line: place.line, text: text.slice(start, text.endsWith("\r") ? -1 : undefined) };
}

export const NOT_UTF8 = { sentence: "this is not UTF-8", hint: "Save the file in UTF-8." } as const;

/** The text of `bytes`, or `undefined` where they are not UTF-8. A byte order mark stays. */
export function decodeUtf8(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return undefined;
  }
}
