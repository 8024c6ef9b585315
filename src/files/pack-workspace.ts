import { createHash } from "node:crypto";
import { closeSync, constants, openSync, read as readCallback, readSync } from "node:fs";
import { join } from "node:path";
import { Readable } from "node:stream";
import { promisify } from "node:util";
import { systemCode } from "../core/errors.ts";
import type { Refusal, Workspace, WorkspaceEntry } from "./scan-workspace.ts";
import { encodeHeader, paddingOf, TAR_END } from "./tar-header.ts";
import { showName } from "./visible-name.ts";

export type PackOptions = {
  /** Gets the SHA-256 (hex) of every file as it was sent, by path. A patch needs them. */
  readonly digests?: Map<string, string> | undefined;
  /** Gets the files that changed since the scan: left out, cut, or filled up with zeros. */
  readonly changed?: Refusal[] | undefined;
};

/**
 * A tar stream of the workspace in the order of its entries: owned by 0, without setuid, setgid and sticky bits, directories open to their owner so
 * that what they hold can be created. Each file has the size that the scan saw, whatever became of it; one that can't be opened any more is left out.
 */
export function packWorkspace(workspace: Workspace, options: PackOptions = {}): Readable {
  return Readable.from(pack(workspace, options), { objectMode: false, highWaterMark: CHUNK });
}

const CHUNK = 256 * 1024;
/** Files up to this size are read in one go, and many share a chunk. */
const SMALL = 64 * 1024;
/** More than a header takes with its pax records: two paths of at most 4,096 bytes each. */
const HEADER_ROOM = 16 * 1024;
/** A link or pipe that has taken a file's place since the scan is neither followed nor waited for. */
const OPEN_FLAGS = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

const read = promisify(readCallback);

type FileEntry = Extract<WorkspaceEntry, { kind: "file" }>;
type Batch = { readonly chunk: Buffer; used: number };

async function* pack(workspace: Workspace, options: PackOptions): AsyncGenerator<Buffer> {
  let batch = createBatch();
  for (const entry of workspace.entries) {
    const isLarge = entry.kind === "file" && entry.size > SMALL;
    if (isLarge || batch.used > CHUNK - SMALL - HEADER_ROOM) {
      if (batch.used > 0) yield batch.chunk.subarray(0, batch.used);
      batch = createBatch();
    }
    if (entry.kind !== "file") append(batch, headerOf(entry));
    else if (isLarge) yield* packLarge(workspace, entry, options);
    else packSmall(batch, { workspace, entry, options });
  }
  yield Buffer.concat([batch.chunk.subarray(0, batch.used), TAR_END]);
}

function createBatch(): Batch {
  return { chunk: Buffer.allocUnsafe(CHUNK), used: 0 };
}

function append(batch: Batch, bytes: Buffer): void {
  batch.chunk.set(bytes, batch.used);
  batch.used += bytes.length;
}

function headerOf(entry: WorkspaceEntry): Buffer {
  const { path, kind, mtime } = entry;
  if (kind === "symlink") return encodeHeader({ path, kind, mtime, mode: 0o777, size: 0, target: entry.target });
  return encodeHeader({
    path,
    kind,
    mtime,
    mode: kind === "directory" ? entry.mode | 0o700 : entry.mode,
    size: kind === "file" ? entry.size : 0,
  });
}

/** One byte more than announced is asked for: it shows that the file has grown. The padding is written over it. */
function packSmall(
  batch: Batch,
  { workspace, entry, options }: { readonly workspace: Workspace; readonly entry: FileEntry; readonly options: PackOptions },
): void {
  const file = openEntry(workspace, entry, options);
  if (file === undefined) return;
  try {
    append(batch, headerOf(entry));
    const start = batch.used;
    const end = start + entry.size;
    let at = start;
    while (at <= end) {
      const count = attempt(() => readSync(file, batch.chunk, at, end + 1 - at, null)) ?? 0;
      if (count === 0) break;
      at += count;
    }
    reportChange(at - start, entry, options);
    const padded = end + paddingOf(entry.size);
    batch.chunk.fill(0, Math.min(at, end), padded);
    batch.used = padded;
    options.digests?.set(entry.path, createHash("sha256").update(batch.chunk.subarray(start, end)).digest("hex"));
  } finally {
    closeSync(file);
  }
}

async function* packLarge(workspace: Workspace, entry: FileEntry, options: PackOptions): AsyncGenerator<Buffer> {
  const file = openEntry(workspace, entry, options);
  if (file === undefined) return;
  const hash = options.digests === undefined ? undefined : createHash("sha256");
  try {
    yield headerOf(entry);
    let seen = 0;
    for (let left = entry.size; left > 0; ) {
      const chunk = Buffer.allocUnsafe(Math.min(CHUNK, left));
      const { bytesRead } = await read(file, chunk, 0, chunk.length, null).catch(() => ({ bytesRead: 0 }));
      seen += bytesRead;
      const sent = bytesRead === 0 ? chunk.fill(0) : chunk.subarray(0, bytesRead);
      left -= sent.length;
      hash?.update(sent);
      yield sent;
    }
    if (seen === entry.size) seen += attempt(() => readSync(file, Buffer.alloc(1), 0, 1, null)) ?? 0;
    reportChange(seen, entry, options);
    if (hash !== undefined) options.digests?.set(entry.path, hash.digest("hex"));
    yield Buffer.alloc(paddingOf(entry.size));
  } finally {
    closeSync(file);
  }
}

function openEntry(workspace: Workspace, entry: FileEntry, options: PackOptions): number | undefined {
  try {
    return openSync(join(workspace.root, entry.path), OPEN_FLAGS);
  } catch (error) {
    options.changed?.push({ path: showName(entry.path), why: `it can't be opened any more (${systemCode(error) ?? "unknown error"})` });
    return undefined;
  }
}

function reportChange(seen: number, entry: FileEntry, options: PackOptions): void {
  if (seen === entry.size) return;
  const why =
    seen > entry.size ? "it grew while it was copied: cut at its old size" : "it shrank while it was copied: filled up with zeros";
  options.changed?.push({ path: showName(entry.path), why });
}

/** A file that fails while it is read counts as one that ended there. */
function attempt<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}
