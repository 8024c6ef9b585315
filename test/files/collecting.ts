import { Readable } from "node:stream";
import { type Collected, type CollectOptions, collect } from "../../src/files/collect.ts";

/** Collects from the bytes of an archive with limits that do not matter, unless given. */
export function collectFrom(bytes: Buffer | Iterable<Buffer> | Readable, options: Partial<CollectOptions>): Promise<Collected> {
  return collect({
    archive: bytes instanceof Readable ? bytes : Readable.from(Buffer.isBuffer(bytes) ? [bytes] : bytes, { objectMode: false }),
    notes: Promise.resolve([]),
    globs: ["**"],
    out: undefined,
    baseline: undefined,
    limits: { maxBytes: 64 * 1024 * 1024, maxEntries: 10_000 },
    signal: new AbortController().signal,
    removeIfKilled: () => ({ [Symbol.dispose]: () => undefined }),
    ...options,
  });
}
