import { showName } from "./visible-name.ts";

/** Whether a name from inside lies at all: one that could only be meant to leave the directory, or names nothing. `undefined` when it is fine. */
export function judgeStructure(path: string): string | undefined {
  if (path === "") return "the name is empty";
  if (path.includes("\0")) return "the name holds a NUL character";
  if (path.startsWith("/")) return "the name is absolute";
  const components = path.split("/");
  if (components.includes("..")) return "the name leads out of the directory with ..";
  if (components.includes("") || components.includes(".")) return "the name has an empty component";
  return undefined;
}

/** Why a path from inside may not appear on the host as it is; `undefined` when it may. */
export function judgeName(path: string): string | undefined {
  const structure = judgeStructure(path);
  if (structure !== undefined) return structure;
  if (path.includes("\\")) return "the name holds a backslash";
  if (path.includes("\ufffd")) return "the name is not UTF-8";
  if (showName(path) !== path) return "the name holds control or invisible characters";
  const components = path.split("/");
  if (components.some((component) => Buffer.byteLength(component) > MAX_COMPONENT)) return `a name is longer than ${MAX_COMPONENT} bytes`;
  if (isInGit(path)) return "it lies in a .git directory, whose files git acts on";
  return undefined;
}

/** Whether a path lies in a `.git` directory, in any spelling that a file system may take for one. */
export function isInGit(path: string): boolean {
  return path.split("/").some(isGitDirectory);
}

/** What an entry is, as far as names are concerned. */
export type NameKind = "directory" | "file" | "other";

export type NameLedger = {
  /** Takes a name of the archive; answers why it can't stand beside those that came before. Take the names of refused entries too. */
  claim(path: string, kind: NameKind): string | undefined;
};

/**
 * Remembers every name of an archive and the directories they imply: no name twice, nothing below what is not a directory, and no two that a file
 * system without regard to case or Unicode normalisation would take for one. Its size is bounded by that of the names.
 */
export function createNameLedger(): NameLedger {
  const top: NameNode = { name: "", kind: "directory", inner: new Map() };
  return {
    claim(path, kind) {
      const names = path.split("/");
      let node = top;
      for (const [index, name] of names.entries()) {
        const isLast = index === names.length - 1;
        const folded = foldName(name);
        const known = node.inner.get(folded);
        if (known !== undefined && known.name !== name)
          return `"${showName(name)}" can't be told from "${showName(known.name)}" on every file system`;
        if (known !== undefined && isLast) return known.kind === "directory" && kind === "directory" ? undefined : "the name occurs twice";
        if (known !== undefined && known.kind !== "directory") return `"${showName(name)}" above it is not a directory`;
        const next: NameNode = known ?? { name, kind: isLast ? kind : "directory", inner: new Map() };
        node.inner.set(folded, next);
        node = next;
      }
      return undefined;
    },
  };
}

type NameNode = { readonly name: string; readonly kind: NameKind; readonly inner: Map<string, NameNode> };

const MAX_COMPONENT = 255;

/** `.git` in any case, and as NTFS would read it: short name, stream, trailing dots and spaces. */
function isGitDirectory(component: string): boolean {
  const name = component.replace(/:.*$/s, "").replace(/[. ]+$/, "");
  return name.toLowerCase() === ".git" || name.toUpperCase() === ".GIT" || /^git~\d+$/i.test(name);
}

function foldName(path: string): string {
  return path.normalize("NFD").toUpperCase().toLowerCase().normalize("NFC");
}
