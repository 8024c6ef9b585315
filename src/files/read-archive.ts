import { addAbortSignal, type Readable } from "node:stream";
import { extract as createExtract, type Extract, type ExtractEvents } from "tar-stream";
import { toSandboxError } from "../core/errors.ts";
import { ArchiveViolation, guardTar } from "./tar-guard.ts";
import type { ArchiveLimits, GuardedEntry } from "./tar-judge.ts";

/** One entry of an archive, its content not yet read. */
export type ArchiveEntry = GuardedEntry & {
  /** Read it before the next entry is asked for; what is left is dropped then. */
  readonly body: AsyncIterable<Uint8Array>;
};

/**
 * The entries of a hostile tar archive, one at a time, in bounded memory. Two readers see it: the guard, which lets only the agreed subset through, and
 * tar-stream; where they differ the reading ends. Throws when the archive is malformed, breaks off, or `signal` aborts, after every entry that came
 * whole before. `archive` is destroyed in the end.
 */
export async function* readArchive(
  archive: Readable,
  options: { readonly limits: ArchiveLimits; readonly signal: AbortSignal },
): AsyncGenerator<ArchiveEntry> {
  const expected: GuardedEntry[] = [];
  const guarded = guardTar(addAbortSignal(options.signal, archive), options.limits, (entry) => expected.push(entry));
  const extract = createExtract();
  const feeding = feed(guarded, extract);
  try {
    for await (const source of extract) {
      const entry = expected.shift();
      if (entry === undefined || !agrees(entry, source.header)) throw new ArchiveViolation("an entry can be read in two ways", 0);
      yield { ...entry, path: plainPath(entry), body: readBody(source, feeding) };
      source.resume();
    }
    await feeding.done;
    if (feeding.failure !== undefined) throw feeding.failure;
  } catch (error) {
    throw feeding.failure ?? error;
  } finally {
    extract.destroy();
    archive.destroy();
    await feeding.done;
  }
}

/** Why reading ended too early, from what was thrown: a few words for people. */
export function describeCut(error: unknown, signal: AbortSignal): string {
  if (signal.aborted) return "collecting took too long or was given up";
  if (error instanceof ArchiveViolation) return `the archive from inside is not acceptable: ${error.message}`;
  return `the archive from inside broke off: ${toSandboxError(error).message}`;
}

/** The guarded bytes on their way into the reader. `failure` is what ended them too early, known before the reader hears of their end. */
type Feeding = { readonly failure: Error | undefined; readonly done: Promise<void> };

/** Ending the reader instead of destroying it lets through what came whole before a failure. */
function feed(guarded: AsyncIterable<Uint8Array>, extract: Extract): Feeding {
  let failure: Error | undefined;
  async function run(): Promise<void> {
    try {
      for await (const piece of guarded) {
        if (extract.destroyed) break;
        if (!extract.write(piece)) await writable(extract);
      }
    } catch (error) {
      failure = error instanceof Error ? error : new Error(String(error));
    } finally {
      extract.end(undefined);
    }
  }
  const done = run();
  return {
    done,
    get failure() {
      return failure;
    },
  };
}

function writable(extract: Extract): Promise<void> {
  return new Promise((resolve) => {
    const settle = () => {
      extract.off("drain", settle);
      extract.off("close", settle);
      resolve();
    };
    extract.on("drain", settle);
    extract.on("close", settle);
  });
}

type Source = ExtractEvents["entry"][1];

async function* readBody(source: Source, feeding: Feeding): AsyncGenerator<Uint8Array> {
  try {
    for await (const piece of source) if (piece instanceof Uint8Array) yield piece;
  } catch (error) {
    throw feeding.failure ?? error;
  }
}

const TYPES = {
  file: ["file"],
  directory: ["directory"],
  symlink: ["symlink"],
  device: ["character-device", "block-device"],
  pipe: ["fifo"],
} as const;

function agrees(entry: GuardedEntry, header: Source["header"]): boolean {
  const types: readonly unknown[] = TYPES[entry.kind];
  return (
    header.name === entry.path &&
    header.size === entry.size &&
    types.includes(header.type) &&
    (entry.target === "" || header.linkname === entry.target)
  );
}

/** Without the leading `./` and, for a directory, trailing `/` that some writers add; `.` for the top itself. */
function plainPath({ path, kind }: GuardedEntry): string {
  const inner = path.startsWith("./") ? path.slice(2) : path;
  const plain = kind === "directory" && inner.endsWith("/") ? inner.slice(0, -1) : inner;
  return plain === "" && path !== "" && path !== "/" ? "." : plain;
}
