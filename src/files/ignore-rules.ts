import { existsSync, readFileSync } from "node:fs";
import { dirname, join, relative, sep } from "node:path";
import ignore, { type Ignore } from "ignore";

/** The rules in force in one directory: those of its own `.gitignore` on top of those of the directories above it. */
export type IgnoreRules = {
  /** Whether the entry at `path`, relative to the workspace, is left out, by itself or with a directory above it. */
  ignores(path: string, isDirectory: boolean): boolean;
  /** The rules inside `directory`, a path relative to the workspace. */
  inside(directory: string): IgnoreRules;
};

/**
 * What git would leave out of `workspace`, an absolute path (gitignore(5)): `.gitignore` files there and below, `.git/info/exclude`, and, where the
 * workspace is part of a repository, the rules of the directories above it. Rules above that leave out the workspace itself are not applied.
 */
export function readIgnoreRules(workspace: string): IgnoreRules {
  const top = findRepository(workspace);
  const prefix = relative(top, workspace).split(sep).join("/");
  const above = prefix === "" ? [] : prefix.split("/").map((_, index, names) => names.slice(0, index).join("/"));
  const excluded = extendRules(ignore(), "", join(top, ".git", "info", "exclude"));
  const outer = above.reduce((rules, directory) => extendRules(rules, directory, join(top, directory, ".gitignore")), excluded);
  const isLeftOut = prefix !== "" && outer.ignores(`${prefix}/`);
  return rulesFrom(extendRules(isLeftOut ? ignore() : outer, prefix, join(workspace, ".gitignore")), { workspace, prefix });
}

/** The nearest directory at or above `workspace` that holds `.git`; the workspace itself where there is none. */
function findRepository(workspace: string): string {
  for (let directory = workspace; ; directory = dirname(directory)) {
    if (existsSync(join(directory, ".git"))) return directory;
    if (directory === dirname(directory)) return workspace;
  }
}

function rulesFrom(rules: Ignore, place: { readonly workspace: string; readonly prefix: string }): IgnoreRules {
  const full = (path: string) => (place.prefix === "" ? path : `${place.prefix}/${path}`);
  return {
    ignores: (path, isDirectory) => rules.ignores(isDirectory ? `${full(path)}/` : full(path)),
    inside(directory) {
      const extended = extendRules(rules, full(directory), join(place.workspace, directory, ".gitignore"));
      return rulesFrom(extended, place);
    },
  };
}

/** Later rules win, so those of a deeper directory go behind the others, bound to their directory. */
function extendRules(rules: Ignore, directory: string, file: string): Ignore {
  const text = readRules(file);
  if (text === undefined) return rules;
  return ignore()
    .add(rules)
    .add(text.split("\n").map((line) => bindRule(line.replace(/\r$/, ""), directory)));
}

function readRules(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8").replace(/^\ufeff/, "");
  } catch {
    return undefined;
  }
}

/** A rule as if it stood in the topmost file: one without a slash but at its end applies at any depth below its directory. */
function bindRule(line: string, directory: string): string {
  if (directory === "" || line.trim() === "" || line.startsWith("#")) return line;
  const negation = line.startsWith("!") ? "!" : "";
  const pattern = line.slice(negation.length).replace(/^\\(?=[#!])/, "");
  const isAnchored = /\/(?!\s*$)/.test(pattern);
  const base = directory.replace(/[\\*?[\] ]/g, "\\$&");
  return `${negation}/${base}/${isAnchored ? "" : "**/"}${pattern.replace(/^\//, "")}`;
}
