import type { Readable, Writable } from "node:stream";
import { text } from "node:stream/consumers";
import { pipeline } from "node:stream/promises";
import { readArchive } from "./read-archive.ts";
import { encodeHeader, paddingOf, TAR_END } from "./tar-header.ts";

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

/** Writes one file of a few megabytes at most, readable for everybody; its directories are made. */
export async function writeSmallFile(
  { input, done }: { readonly input: Writable; readonly done: Promise<unknown> },
  path: string,
  content: string,
): Promise<void> {
  const body = Buffer.from(content);
  const mtime = Math.floor(Date.now() / 1000);
  const header = encodeHeader({ path, kind: "file", mtime, mode: 0o444, size: body.length });
  await Promise.all([pipeline([Buffer.concat([header, body, Buffer.alloc(paddingOf(body.length)), TAR_END])], input), done]);
}
