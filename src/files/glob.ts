import { SandboxError } from "../core/errors.ts";
import { matchSequence } from "../core/match-sequence.ts";
import { showName } from "./visible-name.ts";

/** Answers whether a path, or a directory above it, matches. Paths are relative with `/` between their components. */
export type GlobMatcher = (path: string) => boolean;

/**
 * Compiles globs: `*` and `?` within a component (dot files included), `[a-z]`, `[!a-z]`, `{a,b}`, `**` as a whole component for any depth, `\` before a
 * character that is meant as itself. What a glob names matches with everything below it. Matching takes time in proportion to the lengths of
 * path and glob, because the names come from inside: a regular expression with a few stars can be held up for minutes by one crafted name.
 */
export function compileGlobs(globs: readonly string[]): GlobMatcher {
  const patterns = globs.flatMap((glob) => expandBraces(glob)).map(parsePattern);
  return (path) => {
    const components = path.split("/").map((component) => Array.from(component));
    return patterns.some((pattern) => matchesBeginning(pattern, components));
  };
}

/** A glob without a leading `./` and trailing `/`. Throws `BAD_GLOB` for one that is empty, absolute, has `..`, or can't be read. */
export function normaliseGlob(glob: string, flag: string): string {
  const plain = glob.replace(/^(?:\.\/+)+/, "").replace(/\/+$/, "");
  const why = judgeGlob(glob, plain);
  if (why === undefined) return plain;
  throw new SandboxError(
    "BAD_GLOB",
    `${flag} "${showName(glob)}" ${why}.`,
    "Write a path below the workspace, such as out/*.csv or **/*.txt.",
  );
}

/** The directory or file that everything a glob matches lies in or is; `.` for the top. */
export function globBase(glob: string): string {
  const components = splitComponents(glob);
  const wild = components.findIndex((component) => /[*?[\]{}\\]/.test(component));
  const fixed = wild === -1 ? components : components.slice(0, wild);
  return fixed.length === 0 ? "." : fixed.join("/");
}

const MAX_GLOB = 1024;
const MAX_ALTERNATIVES = 256;

type Part = { readonly kind: "star" } | { readonly kind: "any" } | { readonly kind: "one"; readonly of: (character: string) => boolean };
type Component = readonly Part[];

const GLOBSTAR: Component = [];

function judgeGlob(glob: string, plain: string): string | undefined {
  if (plain === "" || plain === ".") return glob === "" || /^[./]*$/.test(glob) ? "names nothing: write ** for everything" : "is empty";
  if (glob.length > MAX_GLOB) return `is longer than ${MAX_GLOB} characters`;
  if (glob.startsWith("/")) return "is absolute";
  if (glob.startsWith("!")) return "begins with !, which excludes nothing here";
  if (glob.includes("\0")) return "holds a NUL character";
  const alternatives = expandBraces(plain);
  if (alternatives.length > MAX_ALTERNATIVES) return `stands for more than ${MAX_ALTERNATIVES} globs`;
  const components = alternatives.flatMap(splitComponents);
  if (components.some((component) => component.replaceAll("\\", "") === "..")) return "leads out of the workspace with ..";
  if (components.some((component) => component === "" || component === ".")) return "has an empty component";
  return undefined;
}

/** `a{b,c}` to `ab` and `ac`, nested ones too; braces without a comma mean themselves. Stops soon after the limit. */
function expandBraces(glob: string): readonly string[] {
  const done: string[] = [];
  const open = [glob];
  while (open.length > 0 && done.length + open.length <= MAX_ALTERNATIVES) {
    const next = open.shift() ?? "";
    const group = findBraces(next);
    if (group === undefined) done.push(next);
    else open.push(...group.choices.map((choice) => next.slice(0, group.start) + choice + next.slice(group.end)));
  }
  return [...done, ...open];
}

function findBraces(glob: string): { readonly start: number; readonly end: number; readonly choices: readonly string[] } | undefined {
  for (let start = glob.indexOf("{"); start !== -1; start = glob.indexOf("{", start + 1)) {
    if (isEscaped(glob, start)) continue;
    const group = readBraces(glob, start);
    if (group !== undefined && group.choices.length > 1) return { start, ...group };
  }
  return undefined;
}

function readBraces(glob: string, start: number): { readonly end: number; readonly choices: readonly string[] } | undefined {
  const choices: string[] = [];
  let depth = 0;
  let from = start + 1;
  for (let at = start; at < glob.length; at += 1) {
    const character = glob[at];
    if (character === "\\") at += 1;
    else if (character === "{") depth += 1;
    else if (character === "," && depth === 1) {
      choices.push(glob.slice(from, at));
      from = at + 1;
    } else if (character === "}") {
      depth -= 1;
      if (depth === 0) return { end: at + 1, choices: [...choices, glob.slice(from, at)] };
    }
  }
  return undefined;
}

function isEscaped(glob: string, at: number): boolean {
  let slashes = 0;
  while (glob[at - 1 - slashes] === "\\") slashes += 1;
  return slashes % 2 === 1;
}

/** What a glob matches matches with all below it, so `**` at the end only asks for something there to be below. */
function parsePattern(pattern: string): readonly Component[] {
  const components = splitComponents(pattern);
  return components.at(-1) === "**"
    ? [...components.slice(0, -1).map(parseComponent), parseComponent("*")]
    : components.map(parseComponent);
}

function splitComponents(pattern: string): string[] {
  return pattern.split("/");
}

function parseComponent(text: string): Component {
  if (text === "**") return GLOBSTAR;
  const parts: Part[] = [];
  const characters = Array.from(text);
  for (let at = 0; at < characters.length; at += 1) {
    const character = characters[at];
    if (character === "*") {
      if (parts.at(-1)?.kind !== "star") parts.push({ kind: "star" });
    } else if (character === "?") parts.push({ kind: "any" });
    else if (character === "[") {
      const set = parseSet(characters, at);
      parts.push({ kind: "one", of: set.of });
      at = set.last;
    } else {
      if (character === "\\" && at + 1 < characters.length) at += 1;
      const literal = characters[at];
      parts.push({ kind: "one", of: (other) => other === literal });
    }
  }
  return parts;
}

/** A bracket expression from its `[`; one that is never closed is the character itself (POSIX.1-2017, 2.13.1). */
function parseSet(characters: readonly string[], start: number): { readonly of: (character: string) => boolean; readonly last: number } {
  const negated = characters[start + 1] === "!" || characters[start + 1] === "^";
  const first = start + (negated ? 2 : 1);
  const last = characters.indexOf("]", first + 1);
  if (last === -1) return { of: (character) => character === "[", last: start };
  const ranges: { readonly from: string; readonly to: string }[] = [];
  for (let at = first; at < last; at += 1) {
    const from = characters[at] ?? "";
    const isRange = characters[at + 1] === "-" && at + 2 < last;
    ranges.push({ from, to: isRange ? (characters[at + 2] ?? from) : from });
    if (isRange) at += 2;
  }
  return { of: (character) => ranges.some(({ from, to }) => character >= from && character <= to) !== negated, last };
}

/** Whether the pattern matches the path or a beginning of it that ends at a component. */
function matchesBeginning(pattern: readonly Component[], path: readonly (readonly string[])[]): boolean {
  return matchSequence([...pattern, GLOBSTAR], path, {
    isStar: (component) => component === GLOBSTAR,
    fits: matchesName,
  });
}

function matchesName(parts: readonly Part[], name: readonly string[]): boolean {
  return matchSequence(parts, name, {
    isStar: (part) => part.kind === "star",
    fits: (part, character) => part.kind === "any" || (part.kind === "one" && part.of(character)),
  });
}
