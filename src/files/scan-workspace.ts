import {
  closeSync,
  constants,
  type Dir,
  type Dirent,
  lstatSync,
  opendirSync,
  openSync,
  readlinkSync,
  realpathSync,
  statSync,
} from "node:fs";
import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import { SandboxError, systemCode } from "../core/errors.ts";
import { formatSize } from "../core/units.ts";
import { createOmissions, type Omissions } from "./omissions.ts";
import { showName } from "./visible-name.ts";

/** What will be copied into a sandbox. */
export type Workspace = {
  /** Absolute path without symbolic links. */
  readonly root: string;
  /** Directories before what they hold, names of a directory in order: the same tree gives the same list. */
  readonly entries: readonly WorkspaceEntry[];
  /** What can't be copied: sockets, FIFOs, devices, names that are not UTF-8. Files that rules leave out are not listed. */
  readonly skipped: readonly Refusal[];
  /** Bytes of the files. */
  readonly bytes: number;
  /** Bytes that they take in a tmpfs, where every file fills whole pages of 4 KiB. */
  readonly cost: number;
  /** Whether `.gitignore`, `exclude` or the rule about `.git` leave out what would lie at `path`. */
  leavesOut(path: string): boolean;
};

export type WorkspaceEntry = {
  /** Relative, `/` between components. */
  readonly path: string;
  /** Permission bits, 0 to 0o777. */
  readonly mode: number;
  /** Seconds since the epoch, whole. */
  readonly mtime: number;
} & (
  | { readonly kind: "file"; readonly size: number }
  | { readonly kind: "directory" }
  | { readonly kind: "symlink"; readonly target: string }
);

/** Something that was left out, and why, in a few words. */
export type Refusal = { readonly path: string; readonly why: string };

export type ScanOptions = {
  /** Globs of what to leave out: one without a slash names entries at any depth, any other is relative to the workspace. */
  readonly exclude: readonly string[];
  readonly withGit: boolean;
  /** Most bytes, counted in whole pages. */
  readonly maxBytes: number;
  readonly maxEntries: number;
};

/**
 * Lists `directory` without following any symbolic link. Throws `WORKSPACE_MISSING` when it is not a directory, `WORKSPACE_UNREADABLE` with the first
 * entry that can't be read, `WORKSPACE_TOO_LARGE` as soon as a limit is passed, `BAD_GLOB` for an exclusion.
 */
export async function scanWorkspace(directory: string, options: ScanOptions): Promise<Workspace> {
  const root = resolveRoot(directory);
  const omissions = createOmissions(root, options);
  const scan: Scan = { root, options, omissions, entries: [], skipped: [], seen: 0, bytes: 0, cost: 0 };
  const open = [""];
  let paused = 0;
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    if (next !== "") addEntry(scan, next);
    if (scan.seen - paused >= PAUSE_EVERY) {
      paused = scan.seen;
      await setImmediate();
    }
    open.push(...scanDirectory(scan, next).reverse());
  }
  const { entries, skipped, bytes, cost } = scan;
  return { root, entries, skipped, bytes, cost, leavesOut: (path) => omissions.omits(path, false) };
}

/** Walking is synchronous, which is several times faster; other work gets its turn after so many entries. */
const PAUSE_EVERY = 2000;
/** Opening is the only question about permissions that has a sure answer; a link or pipe in the file's place is neither followed nor waited for. */
const OPEN_FLAGS = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
const PAGE = 4096;
/** The longest target of a symbolic link that tmpfs keeps without a page of its own. */
const SHORT_LINK = 127;

type Scan = {
  readonly root: string;
  readonly options: ScanOptions;
  readonly omissions: Omissions;
  readonly entries: WorkspaceEntry[];
  readonly skipped: Refusal[];
  seen: number;
  bytes: number;
  cost: number;
};

function resolveRoot(directory: string): string {
  try {
    if (statSync(directory).isDirectory()) return realpathSync(directory);
  } catch (error) {
    const why = systemCode(error) === "ENOENT" ? "does not exist" : `can't be looked at (${systemCode(error) ?? "unknown error"})`;
    throw missing(`The workspace "${showName(directory)}" ${why}.`, error);
  }
  throw missing(`The workspace "${showName(directory)}" is not a directory.`);
}

function missing(sentence: string, cause?: unknown): SandboxError {
  return new SandboxError("WORKSPACE_MISSING", sentence, "Give --workspace a directory.", { cause });
}

/** Adds what lies directly in `directory` and answers the directories to enter, in order. */
function scanDirectory(scan: Scan, directory: string): string[] {
  const inner: string[] = [];
  for (const child of readNames(scan, directory)) {
    const path = directory === "" ? child.name : `${directory}/${child.name}`;
    if (child.isDirectory()) inner.push(path);
    else if (child.isFile() || child.isSymbolicLink()) addEntry(scan, path);
    else scan.skipped.push({ path: showName(path), why: specialKind(child) });
  }
  return inner;
}

/** The entries of a directory that are kept, counted while they are read: a directory of millions is left at the limit. */
function readNames(scan: Scan, directory: string): Dirent[] {
  const kept: Dirent[] = [];
  const handle = reading(scan, directory, () => opendirSync(join(scan.root, directory), { bufferSize: 256 }));
  if (handle === undefined) return kept;
  try {
    for (let child = readNext(scan, directory, handle); child !== undefined; child = readNext(scan, directory, handle)) {
      const path = directory === "" ? child.name : `${directory}/${child.name}`;
      if (scan.omissions.omits(path, child.isDirectory())) continue;
      kept.push(child);
      scan.seen += 1;
      if (scan.seen > scan.options.maxEntries) throw tooMany(scan);
    }
  } finally {
    handle.closeSync();
  }
  return kept.sort((a, b) => (a.name < b.name ? -1 : 1));
}

function readNext(scan: Scan, directory: string, handle: Dir): Dirent | undefined {
  return reading(scan, directory, () => handle.readSync()) ?? undefined;
}

function addEntry(scan: Scan, path: string): void {
  const entry = reading(scan, path, () => readEntry(scan, path));
  if (entry === undefined) return;
  if (entry.kind === "symlink" && entry.target.includes("\ufffd")) {
    scan.skipped.push({ path: showName(path), why: "its target is not UTF-8" });
    return;
  }
  scan.entries.push(entry);
  if (entry.kind === "file") {
    scan.bytes += entry.size;
    scan.cost += Math.ceil(entry.size / PAGE) * PAGE;
  } else if (entry.kind === "symlink" && entry.target.length > SHORT_LINK) scan.cost += PAGE;
  if (scan.cost > scan.options.maxBytes) throw tooLarge(scan, path);
}

function readEntry(scan: Scan, path: string): WorkspaceEntry {
  const full = join(scan.root, path);
  const stats = lstatSync(full);
  const shared = { path, mode: stats.mode & 0o777, mtime: Math.max(0, Math.floor(stats.mtimeMs / 1000)) };
  if (stats.isSymbolicLink()) return { ...shared, kind: "symlink", target: readlinkSync(full) };
  if (stats.isDirectory()) return { ...shared, kind: "directory" };
  closeSync(openSync(full, OPEN_FLAGS));
  return { ...shared, kind: "file", size: stats.size };
}

/** What is gone by now is listed, what may not be read ends the scan. */
function reading<T>(scan: Scan, path: string, read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    const code = systemCode(error);
    if (code === "ENOENT") {
      scan.skipped.push({
        path: showName(path),
        why: path.includes("\ufffd") ? "its name is not UTF-8" : "it was gone when it was looked at",
      });
      return undefined;
    }
    const sentence = `"${showName(path === "" ? scan.root : path)}" in the workspace can't be read (${code ?? "unknown error"}).`;
    throw new SandboxError("WORKSPACE_UNREADABLE", sentence, "Make it readable or leave it out with --exclude.", { cause: error });
  }
}

function specialKind(child: Dirent): string {
  if (child.isSocket()) return "a socket";
  if (child.isFIFO()) return "a named pipe";
  return child.isCharacterDevice() || child.isBlockDevice() ? "a device" : "neither file, directory nor symbolic link";
}

function tooMany(scan: Scan): SandboxError {
  const sentence = `The workspace "${showName(scan.root)}" has more than ${scan.options.maxEntries} entries.`;
  return new SandboxError("WORKSPACE_TOO_LARGE", sentence, "Leave files out with --exclude or a .gitignore, or raise --disk.");
}

function tooLarge(scan: Scan, path: string): SandboxError {
  const sentence = `The workspace "${showName(scan.root)}" needs more than ${formatSize(scan.options.maxBytes)} (reached at "${showName(path)}").`;
  return new SandboxError("WORKSPACE_TOO_LARGE", sentence, "Raise --disk (and --memory with it), or leave files out with --exclude.");
}
