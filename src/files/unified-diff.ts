import { formatPatch, type StructuredPatchHunk, structuredPatch } from "diff";

export type FileState = { readonly text: string; readonly isExecutable: boolean };

export type FileChange = {
  /** Relative, `/` between components. */
  readonly path: string;
  /** `undefined` for a new file. */
  readonly old: FileState | undefined;
  /** `undefined` for a deleted file. */
  readonly now: FileState | undefined;
  /** On the clock of `performance.now`: from then on, and for files that take long by themselves, all lines are replaced instead of compared. */
  readonly deadline: number;
};

/**
 * One file's part of a patch as `git diff` writes it: `diff --git`, the modes where they matter, and hunks with three lines of context. Names that
 * hold anything but plain characters are quoted as in C, which `git apply` and GNU patch undo.
 */
export function formatFileChange({ path, old, now, deadline }: FileChange): string {
  const oldName = quoteName(`a/${path}`);
  const newName = quoteName(`b/${path}`);
  const lines = [`diff --git ${oldName} ${newName}`, ...modeLines(old, now)];
  const hunks = old?.text === now?.text ? "" : formatHunks(old?.text ?? "", now?.text ?? "", deadline);
  if (hunks !== "") lines.push(`--- ${old === undefined ? "/dev/null" : oldName}`, `+++ ${now === undefined ? "/dev/null" : newName}`);
  else if (old === undefined || now === undefined)
    lines.push(old === undefined ? `index 0000000..${EMPTY_BLOB}` : `index ${EMPTY_BLOB}..0000000`);
  return `${lines.join("\n")}\n${hunks}`;
}

/** What git calls an empty file: without it GNU patch will not delete one, since there is nothing left to compare. */
const EMPTY_BLOB = "e69de29";
const CONTEXT = 3;
/** Most of the time one file may take: comparing is quadratic in the number of changes. */
const FILE_MS = 500;
const MAX_EDITS = 20_000;
const NO_NEWLINE = "\\ No newline at end of file";
const HEADERS = { includeIndex: false, includeUnderline: false, includeFileHeaders: false };

function modeLines(old: FileState | undefined, now: FileState | undefined): string[] {
  if (old === undefined) return now === undefined ? [] : [`new file mode ${modeOf(now)}`];
  if (now === undefined) return [`deleted file mode ${modeOf(old)}`];
  return old.isExecutable === now.isExecutable ? [] : [`old mode ${modeOf(old)}`, `new mode ${modeOf(now)}`];
}

function modeOf({ isExecutable }: FileState): string {
  return isExecutable ? "100755" : "100644";
}

function formatHunks(old: string, now: string, deadline: number): string {
  if (old === "" && now === "") return "";
  const timeout = Math.min(FILE_MS, deadline - performance.now());
  const compared =
    timeout > 0 && old !== "" && now !== ""
      ? structuredPatch("", "", old, now, "", "", { context: CONTEXT, timeout, maxEditLength: MAX_EDITS })
      : undefined;
  const hunks = compared?.hunks ?? [replaceAll(old, now)];
  return formatPatch({ oldFileName: "", newFileName: "", oldHeader: "", newHeader: "", hunks }, HEADERS);
}

function replaceAll(old: string, now: string): StructuredPatchHunk {
  const removed = splitLines(old);
  const added = splitLines(now);
  const lines = [...markLines("-", removed), ...markLines("+", added)];
  return { oldStart: 1, oldLines: removed.length, newStart: 1, newLines: added.length, lines };
}

/** Lines with their line feeds; the last one may lack it. */
function splitLines(text: string): string[] {
  return text.match(/[^\n]*\n|[^\n]+$/g) ?? [];
}

function markLines(mark: string, lines: readonly string[]): string[] {
  return lines.flatMap((line) => (line.endsWith("\n") ? [mark + line.slice(0, -1)] : [mark + line, NO_NEWLINE]));
}

const ESCAPES = new Map([
  ["\n", "\\n"],
  ["\t", "\\t"],
  ["\r", "\\r"],
  ['"', '\\"'],
  ["\\", "\\\\"],
]);

function quoteName(name: string): string {
  if (!/[\0-\x20"\\\x7f]/.test(name)) return name;
  const escaped = name.replace(
    /[\0-\x1f"\\\x7f]/g,
    (character) => ESCAPES.get(character) ?? `\\${character.charCodeAt(0).toString(8).padStart(3, "0")}`,
  );
  return `"${escaped}"`;
}
