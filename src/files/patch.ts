import { isUtf8 } from "node:buffer";
import { createHash } from "node:crypto";
import { closeSync, constants, fstatSync, openSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { isInGit } from "./artifact-name.ts";
import type { Workspace, WorkspaceEntry } from "./scan-workspace.ts";
import { formatFileChange } from "./unified-diff.ts";

/** What went in: the files as they were sent, by the digests that `packWorkspace` took. `workspace` is undefined when nothing was copied in. */
export type Baseline = { readonly workspace: Workspace | undefined; readonly digests: ReadonlyMap<string, string> };

/** A file that came out. `aside` is where its content lies when it differs from what went in and is small enough. */
export type CollectedFile = { readonly sha256: string; readonly isExecutable: boolean; readonly aside: string | undefined };

export type CollectedTree = {
  readonly files: ReadonlyMap<string, CollectedFile>;
  /** Targets of symbolic links by path. */
  readonly links: ReadonlyMap<string, string>;
  /** Whether nothing is known of a path, because it or a directory above it could not be taken. */
  isUnknown(path: string): boolean;
};

/** Files with more bytes than this are not compared. */
export const MAX_PATCHED_FILE = 4 * 1024 * 1024;

/**
 * The changes of a workspace as a unified diff with git's extended headers, for `patch -p1` and `git apply`: deleted files first, then changed and new
 * ones, by path. Computed from bytes, here; no file from inside is ever interpreted. What can't be in it (binary and large files, links, files that changed
 * on the host meanwhile) goes to `refuse`. New files that the workspace's own rules leave out are not changes.
 */
export function createPatch(baseline: Baseline, tree: CollectedTree, refuse: (path: string, why: string) => void): string {
  const diff: Diff = { baseline, tree, refuse, parts: [], length: 0, deadline: performance.now() + DIFF_BUDGET_MS };
  const before = new Map<string, WorkspaceEntry>((baseline.workspace?.entries ?? []).map((entry) => [entry.path, entry]));
  const files = [...before.values()].filter((entry) => entry.kind === "file" && baseline.digests.has(entry.path) && !isInGit(entry.path));
  for (const entry of files)
    if (!tree.files.has(entry.path) && !tree.isUnknown(entry.path)) addChange(diff, { path: entry.path, old: entry, now: undefined });
  for (const [path, now] of [...tree.files].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const old = baseline.digests.has(path) ? before.get(path) : undefined;
    if (!isInGit(path) && (old !== undefined || baseline.workspace?.leavesOut(path) !== true)) addChange(diff, { path, old, now });
  }
  refuseLinks(diff, before);
  return diff.parts.join("");
}

const MAX_PATCH = 64 * 1024 * 1024;
const DIFF_BUDGET_MS = 10_000;
const READ_FLAGS = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

type Diff = {
  readonly baseline: Baseline;
  readonly tree: CollectedTree;
  readonly refuse: (path: string, why: string) => void;
  readonly parts: string[];
  readonly deadline: number;
  length: number;
};

type Change = { readonly path: string; readonly old: WorkspaceEntry | undefined; readonly now: CollectedFile | undefined };

function addChange(diff: Diff, change: Change): void {
  const { path, old, now } = change;
  const wasExecutable = old === undefined ? undefined : (old.mode & 0o111) !== 0;
  const hasSameContent = old !== undefined && now?.sha256 === diff.baseline.digests.get(path);
  if (hasSameContent && wasExecutable === now?.isExecutable) return;
  const oldText = old === undefined || hasSameContent ? NO_TEXT : readOld(diff, old);
  const newText = now === undefined || hasSameContent ? NO_TEXT : readNew(now);
  if ("why" in oldText) {
    diff.refuse(path, oldText.why);
    return;
  }
  if ("why" in newText) {
    diff.refuse(path, newText.why);
    return;
  }
  const part = formatFileChange({
    path,
    old: wasExecutable === undefined ? undefined : { ...oldText, isExecutable: wasExecutable },
    now: now === undefined ? undefined : { ...newText, isExecutable: now.isExecutable },
    deadline: diff.deadline,
  });
  diff.length += part.length;
  if (diff.length > MAX_PATCH) diff.refuse(path, `not in the patch, which has reached ${MAX_PATCH} characters`);
  else diff.parts.push(part);
}

type TextOrWhy = { readonly text: string } | { readonly why: string };

const NO_TEXT: TextOrWhy = { text: "" };
const TOO_LARGE: TextOrWhy = { why: `not in the patch: larger than ${MAX_PATCHED_FILE} bytes` };
const CHANGED: TextOrWhy = { why: "not in the patch: changed on the host during the run" };

/** The host's file as it was sent; a workspace may change while a run takes its time. */
function readOld({ baseline }: Diff, old: WorkspaceEntry): TextOrWhy {
  if (old.kind !== "file" || old.size > MAX_PATCHED_FILE) return TOO_LARGE;
  const content = readHostFile(join(baseline.workspace?.root ?? "", old.path));
  if (content === undefined || createHash("sha256").update(content).digest("hex") !== baseline.digests.get(old.path)) return CHANGED;
  return textOf(content);
}

function readHostFile(path: string): Buffer | undefined {
  let file: number | undefined;
  try {
    file = openSync(path, READ_FLAGS);
    const stats = fstatSync(file);
    return stats.isFile() && stats.size <= MAX_PATCHED_FILE ? readFileSync(file) : undefined;
  } catch {
    return undefined;
  } finally {
    if (file !== undefined) closeSync(file);
  }
}

function readNew(now: CollectedFile): TextOrWhy {
  return now.aside === undefined ? TOO_LARGE : textOf(readFileSync(now.aside));
}

function textOf(content: Buffer): TextOrWhy {
  return isUtf8(content) && !content.includes(0) ? { text: content.toString("utf8") } : { why: "not in the patch: binary" };
}

/** A unified diff has no place for links that both `patch` and `git apply` take. */
function refuseLinks({ baseline, tree, refuse }: Diff, before: ReadonlyMap<string, WorkspaceEntry>): void {
  for (const [path, target] of tree.links) {
    const old = before.get(path);
    const isNew = old === undefined ? baseline.workspace?.leavesOut(path) !== true : !(old.kind === "symlink" && old.target === target);
    if (isNew && !isInGit(path)) refuse(path, "not in the patch: a symbolic link");
  }
  for (const [path, old] of before) {
    const isGone = old.kind === "symlink" && !tree.links.has(path) && !tree.isUnknown(path);
    if (isGone && !isInGit(path)) refuse(path, "not in the patch: a symbolic link that is gone");
  }
}
