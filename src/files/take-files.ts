import type { Readable } from "node:stream";
import { SandboxError, toSandboxError } from "../core/errors.ts";
import { onceAborted } from "../core/once-aborted.ts";
import { createNameLedger, judgeName } from "./artifact-name.ts";
import { type ArchiveEntry, describeCut, readArchive } from "./read-archive.ts";
import { createRefusals, explainNote } from "./refusals.ts";
import type { Refusal } from "./scan-workspace.ts";
import { showName } from "./visible-name.ts";

/** A tar stream from inside, hostile until it was judged, and what could not be put into it. */
export type Source = { readonly output: Readable; readonly done: Promise<readonly Refusal[]> };

/** What lies inside. `path` is relative to the workspace, `bytes` 0 for all but files, `mode` permission bits. */
export type FileEntry = {
  readonly path: string;
  readonly kind: "file" | "directory" | "symlink" | "device" | "pipe";
  readonly bytes: number;
  readonly mode: number;
};

/** `refused` names what can't be told safely: paths made harmless for a terminal, each with the reason. */
export type Listing = { readonly entries: readonly FileEntry[]; readonly refused: readonly Refusal[] };

type Wanted = { readonly path: string; readonly signal: AbortSignal };

/** Reads one regular file of at most `maxBytes`. Throws `NO_SUCH_FILE` and `COLLECT_FAILED`. */
export async function takeFile(source: Source, wanted: Wanted & { readonly maxBytes: number }): Promise<Buffer> {
  const { path, maxBytes } = wanted;
  const limits = { maxBytes: Number.MAX_SAFE_INTEGER, maxEntries: Number.MAX_SAFE_INTEGER };
  return guarded(source, wanted, async () => {
    for await (const entry of readArchive(source.output, { limits, signal: wanted.signal }))
      return await readWhole(entry, { path, maxBytes });
    throw missing(path, (await unlessAborted(source.done, wanted.signal))[0]?.why ?? "ENOENT");
  });
}

/** Lists what lies directly in the directory `path`, or at any depth below it; a path that is not a directory lists itself. Throws `NO_SUCH_FILE` and `COLLECT_FAILED`. */
export async function listFiles(
  source: Source,
  wanted: Wanted & { readonly recursive: boolean; readonly limits: { readonly maxBytes: number; readonly maxEntries: number } },
): Promise<Listing> {
  const { path, recursive, limits, signal } = wanted;
  const ledger = createNameLedger();
  const refusals = createRefusals();
  const entries: FileEntry[] = [];
  return guarded(source, wanted, async () => {
    for await (const { path: name, kind, size, mode } of readArchive(source.output, { limits, signal })) {
      if (name === path && kind === "directory") continue;
      const isAsked = recursive || name === path || parentOf(name) === path;
      const why = judgeName(name) ?? ledger.claim(name, kind === "file" || kind === "directory" ? kind : "other");
      if (why !== undefined) refusals.add(name, why);
      else if (isAsked) entries.push({ path: name, kind, bytes: size, mode: mode & 0o777 });
    }
    for (const note of await unlessAborted(source.done, signal)) {
      if (plain(note.path) === path && note.why === "ENOENT") throw missing(path, note.why);
      if (recursive || plain(note.path) === path || parentOf(plain(note.path)) === path) refusals.add(note.path, explainNote(note.why));
    }
    return { entries, refused: refusals.list() };
  });
}

async function readWhole(entry: ArchiveEntry, { path, maxBytes }: { readonly path: string; readonly maxBytes: number }): Promise<Buffer> {
  if (entry.path !== path) throw failure(path, `the guest sent ${JSON.stringify(showName(entry.path))} in its place`);
  if (entry.kind !== "file") throw failure(path, `it is a ${KINDS[entry.kind]}`);
  if (entry.size > maxBytes) throw failure(path, `it has ${entry.size} bytes, more than the ${maxBytes} that were asked for`);
  const pieces: Uint8Array[] = [];
  for await (const piece of entry.body) pieces.push(piece);
  return Buffer.concat(pieces);
}

const KINDS = { directory: "directory", symlink: "symbolic link", device: "device", pipe: "named pipe" } as const;

/** Whatever goes wrong in here is said about the path; the stream is let go of. */
async function guarded<T>(source: Source, { path, signal }: Wanted, work: () => Promise<T>): Promise<T> {
  source.done.catch(() => undefined);
  try {
    return await work();
  } catch (error) {
    if (error instanceof SandboxError) throw error;
    throw failure(path, describeCut(error, signal));
  } finally {
    source.output.destroy();
  }
}

async function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  let giveUp: () => void = () => undefined;
  const late = new Promise<never>((_resolve, reject) => {
    giveUp = () => reject(toSandboxError(signal.reason));
  });
  using _signal = onceAborted(signal, giveUp);
  return await Promise.race([work, late]);
}

function missing(path: string, why: string): SandboxError {
  if (why !== "ENOENT" && why !== "ENOTDIR") return failure(path, explainNote(why));
  return new SandboxError(
    "NO_SUCH_FILE",
    `There is no ${JSON.stringify(showName(path))} in the workspace.`,
    "List the directory above it.",
  );
}

function failure(path: string, why: string): SandboxError {
  return new SandboxError(
    "COLLECT_FAILED",
    `${JSON.stringify(showName(path))} can't be read out of the sandbox: ${why}.`,
    "Read regular files that the sandbox's user may read; treat the image and the command as hostile.",
  );
}

function parentOf(path: string): string {
  const at = path.lastIndexOf("/");
  return at === -1 ? "." : path.slice(0, at);
}

/** As notes are written: with a leading `./` or a trailing slash, perhaps. */
function plain(path: string): string {
  return path.replace(/^(?:\.\/)+/, "").replace(/\/+$/, "") || ".";
}
