import { compileGlobs, normaliseGlob } from "./glob.ts";
import { type IgnoreRules, readIgnoreRules } from "./ignore-rules.ts";

/** Decides what of a workspace stays on the host. */
export type Omissions = {
  /** Whether the entry at `path`, relative to the workspace, is left out. Ask about the directories above it first. */
  omits(path: string, isDirectory: boolean): boolean;
};

/**
 * Combines the `exclude` globs, the rules that git has for `root`, and `withGit`. An exclusion without a slash names entries at any depth. Rules of
 * git never apply inside `.git`. Throws `BAD_GLOB`.
 */
export function createOmissions(root: string, options: { readonly exclude: readonly string[]; readonly withGit: boolean }): Omissions {
  const globs = options.exclude.map((glob) => normaliseGlob(glob, "--exclude"));
  const isExcluded = globs.length === 0 ? () => false : compileGlobs(globs.map((glob) => (glob.includes("/") ? glob : `**/${glob}`)));
  const rules = new Map<string, IgnoreRules>();

  /** The rules inside a directory; they are read once, at the first question about it. */
  function rulesIn(directory: string): IgnoreRules {
    const known = rules.get(directory);
    if (known !== undefined) return known;
    const found = directory === "" ? readIgnoreRules(root) : rulesIn(parentOf(directory)).inside(directory);
    rules.set(directory, found);
    return found;
  }

  return {
    omits(path, isDirectory) {
      if (isExcluded(path)) return true;
      if (isInGit(path)) return !options.withGit;
      return rulesIn(parentOf(path)).ignores(path, isDirectory);
    },
  };
}

function isInGit(path: string): boolean {
  return path === ".git" || path.startsWith(".git/") || path.endsWith("/.git") || path.includes("/.git/");
}

function parentOf(path: string): string {
  return path.slice(0, Math.max(0, path.lastIndexOf("/")));
}
