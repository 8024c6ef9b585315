import { createHash } from "node:crypto";
import { tmpdir } from "node:os";
import type { Readable } from "node:stream";
import { SandboxError, systemCode } from "../core/errors.ts";
import { createNameLedger, isInGit, judgeName, judgeStructure, type NameLedger } from "./artifact-name.ts";
import { compileGlobs, type GlobMatcher, globBase, normaliseGlob } from "./glob.ts";
import { type Baseline, type CollectedFile, createPatch, MAX_PATCHED_FILE } from "./patch.ts";
import { type ArchiveEntry, describeCut, readArchive } from "./read-archive.ts";
import { createRefusals, explainNote, type Refusals } from "./refusals.ts";
import type { Refusal } from "./scan-workspace.ts";
import { openStaging, type RemoveIfKilled, type Staging, WriteFailure } from "./staging.ts";
import type { ArchiveLimits } from "./tar-judge.ts";
import { showName } from "./visible-name.ts";

export type CollectOptions = {
  /** The tar stream from inside. It is destroyed in the end. */
  readonly archive: Readable;
  /** What could not be put into the archive; awaited after it has ended, never when it breaks off. `why` may be the name of an error number. */
  readonly notes: Promise<readonly Refusal[]>;
  /** What to take, relative to the top of the archive. */
  readonly globs: readonly string[];
  /** The directory that is to appear; `assertOutDirectory` has looked at it. Without it nothing is taken. */
  readonly out: string | undefined;
  /** What the workspace was before; without it there is no patch. A patch needs the whole workspace in the archive. */
  readonly baseline: Baseline | undefined;
  readonly limits: ArchiveLimits;
  readonly signal: AbortSignal;
  readonly removeIfKilled: RemoveIfKilled;
};

/** A file that was taken. `path` is relative to the output directory, `sha256` hex, `mode` octal: `0644` or `0755`. */
export type Artifact = { readonly path: string; readonly bytes: number; readonly sha256: string; readonly mode: string };

export type Collected = {
  readonly artifacts: readonly Artifact[];
  /** What was asked for and not taken, paths made harmless for a terminal; at most 1,000, then one that counts the others. */
  readonly refused: readonly Refusal[];
  /** The changes as a unified diff, empty when there are none; `undefined` without a baseline and when the archive broke off. */
  readonly patch: string | undefined;
  /** Why the archive could not be read to its end, in one sentence. What had come whole by then is in `artifacts`. */
  readonly cut: string | undefined;
};

/**
 * Reads what comes out of a sandbox, once, and lets the files that `globs` name appear at `out`, all at once or not at all: regular files and
 * directories only, with plain modes. Throws `BAD_GLOB`, and `COLLECT_FAILED` when they can't be written here; nothing is left then.
 */
export async function collect(options: CollectOptions): Promise<Collected> {
  const globs = options.globs.map((glob) => normaliseGlob(glob, "--artifact"));
  options.notes.catch(() => undefined);
  try {
    await using staging = openStaging(options.out, options.removeIfKilled);
    const collection = createCollection(options, globs, staging);
    const cut = await receive(collection);
    if (cut === undefined) {
      refuseNoted(collection, await options.notes);
      for (const glob of collection.unmatched.keys()) collection.refusals.add(glob, "nothing matched");
    }
    const patch = cut === undefined ? patchOf(collection) : undefined;
    await staging.publish();
    return { artifacts: collection.artifacts, refused: collection.refusals.list(), patch, cut };
  } catch (error) {
    throw collectFailure(error, options.out);
  } finally {
    options.archive.destroy();
  }
}

type Collection = {
  readonly options: CollectOptions;
  readonly globs: readonly string[];
  readonly staging: Staging;
  readonly isWanted: GlobMatcher;
  /** Globs that nothing has matched so far. */
  readonly unmatched: Map<string, GlobMatcher>;
  readonly ledger: NameLedger;
  readonly artifacts: Artifact[];
  readonly refusals: Refusals;
  readonly files: Map<string, CollectedFile>;
  readonly links: Map<string, string>;
  readonly unknown: Set<string>;
};

function createCollection(options: CollectOptions, globs: readonly string[], staging: Staging): Collection {
  const taken = options.out === undefined ? [] : globs;
  return {
    options,
    globs: taken,
    staging,
    isWanted: compileGlobs(taken),
    unmatched: new Map(taken.map((glob) => [glob, compileGlobs([glob])])),
    ledger: createNameLedger(),
    artifacts: [],
    refusals: createRefusals(),
    files: new Map(),
    links: new Map(),
    unknown: new Set(),
  };
}

/** Takes entry after entry; answers why that ended too early. A failure on this side is thrown. */
async function receive(collection: Collection): Promise<string | undefined> {
  const { archive, limits, signal } = collection.options;
  try {
    for await (const entry of readArchive(archive, { limits, signal })) await takeEntry(collection, entry);
    return undefined;
  } catch (error) {
    if (error instanceof WriteFailure) throw error;
    const why = describeCut(error, signal);
    collection.refusals.add(".", `what else there was is not taken: ${why}`);
    return why;
  }
}

async function takeEntry(collection: Collection, entry: ArchiveEntry): Promise<void> {
  const { path, kind } = entry;
  if (path === "." && kind === "directory") return;
  const isWanted = collection.isWanted(path);
  for (const [glob, matches] of collection.unmatched) if (matches(path)) collection.unmatched.delete(glob);
  const why = judgeEntry(collection, entry);
  if (why !== undefined) {
    collection.unknown.add(path);
    if (isWanted || judgeStructure(path) !== undefined || isInPatch(collection, path)) collection.refusals.add(path, why);
  } else if (kind === "file") await takeFile(collection, entry, isWanted);
  else if (kind === "directory" && isWanted) collection.staging.addDirectory(path);
  else if (isWanted && kind !== "directory") collection.refusals.add(path, OTHER_KINDS[kind]);
  if (kind === "symlink") collection.links.set(path, entry.target);
}

const OTHER_KINDS = { symlink: "a symbolic link", device: "a device", pipe: "a named pipe" } as const;

function judgeEntry({ ledger }: Collection, { path, kind }: ArchiveEntry): string | undefined {
  const structure = judgeStructure(path);
  if (structure !== undefined) return structure;
  const claim = ledger.claim(path, kind === "file" || kind === "directory" ? kind : "other");
  return judgeName(path) ?? claim;
}

function isInPatch({ options }: Collection, path: string): boolean {
  return options.baseline !== undefined && !isInGit(path) && options.baseline.workspace?.leavesOut(path) !== true;
}

/** Reads one file to its end: digests it, writes it to the results when it is wanted, keeps it aside when the patch will need it. */
async function takeFile(collection: Collection, entry: ArchiveEntry, isWanted: boolean): Promise<void> {
  const { path, size } = entry;
  const isCompared = isInPatch(collection, path);
  if (!isWanted && !isCompared) return;
  const isExecutable = (entry.mode & 0o111) !== 0;
  const mode = isExecutable ? 0o755 : 0o644;
  const file = isWanted ? collection.staging.addFile(path, mode) : undefined;
  const hash = createHash("sha256");
  const pieces: Uint8Array[] = [];
  try {
    for await (const piece of entry.body) {
      hash.update(piece);
      file?.write(piece);
      if (isCompared && size <= MAX_PATCHED_FILE) pieces.push(piece);
    }
  } catch (error) {
    file?.discard();
    if (!(error instanceof WriteFailure)) collection.refusals.add(path, "it did not come whole");
    throw error;
  }
  file?.close();
  const sha256 = hash.digest("hex");
  if (isWanted) collection.artifacts.push({ path, bytes: size, sha256, mode: `0${mode.toString(8)}` });
  if (!isCompared) return;
  const isChanged = collection.options.baseline?.digests.get(path) !== sha256;
  const aside = isChanged && size <= MAX_PATCHED_FILE ? collection.staging.setAside(Buffer.concat(pieces)) : undefined;
  collection.files.set(path, { sha256, isExecutable, aside });
}

/** What the guest could not read: listed where it was asked for, and nothing that the patch may take for deleted. */
function refuseNoted(collection: Collection, notes: readonly Refusal[]): void {
  for (const note of notes) {
    const path = note.path.replace(/^(?:\.\/)+/, "").replace(/\/+$/, "") || ".";
    if (note.why !== "ENOENT") collection.unknown.add(path);
    const isRelevant = collection.isWanted(path) || isAsked(collection, path) || (isInPatch(collection, path) && path !== ".");
    if (isRelevant) collection.refusals.add(path, explainNote(note.why));
    for (const glob of collection.unmatched.keys()) if (isBelow(globBase(glob), path)) collection.unmatched.delete(glob);
  }
}

function isAsked({ globs }: Collection, path: string): boolean {
  return globs.some((glob) => isBelow(globBase(glob), path));
}

function isBelow(path: string, directory: string): boolean {
  return directory === "." || path === directory || path.startsWith(`${directory}/`);
}

function patchOf(collection: Collection): string | undefined {
  const { baseline } = collection.options;
  if (baseline === undefined) return undefined;
  const { files, links, unknown, refusals } = collection;
  const isUnknown = (path: string) =>
    unknown.size > 0 && (unknown.has(".") || path.split("/").some((_, index, names) => unknown.has(names.slice(0, index + 1).join("/"))));
  return createPatch(baseline, { files, links, isUnknown }, (path, why) => refusals.add(path, why));
}

function collectFailure(error: unknown, out: string | undefined): unknown {
  if (!(error instanceof WriteFailure)) return error;
  const code = systemCode(error.cause) ?? "unknown error";
  const sentence = `The results can't be written to "${showName(out ?? tmpdir())}" (${code}); nothing was left there.`;
  const hint = `Make room there, or choose another place with ${out === undefined ? "TMPDIR" : "--out"}.`;
  return new SandboxError("COLLECT_FAILED", sentence, hint, { cause: error });
}
