import type { Readable } from "node:stream";
import { text } from "node:stream/consumers";
import { readArchive } from "./read-archive.ts";

const PATIENCE_MS = 10_000;

/** The first regular file of a hostile archive as text, or `undefined` when there is none of at most `maxBytes`. Never throws. */
export async function readSmallFile(
  { output, done }: { readonly output: Readable; readonly done: Promise<unknown> },
  maxBytes: number,
): Promise<string | undefined> {
  const limits = { maxBytes: 4 * maxBytes, maxEntries: 16, maxDepth: 16 };
  let found: string | undefined;
  try {
    for await (const entry of readArchive(output, { limits, signal: AbortSignal.timeout(PATIENCE_MS) })) {
      if (found === undefined && entry.kind === "file" && entry.size <= maxBytes) found = await text(entry.body);
    }
    await done;
  } catch {
    return found;
  }
  return found;
}
