import { SandboxError } from "../core/errors.ts";

/** A command with gaps: each word is text and places of columns in turn. */
export type Template = { readonly words: readonly (readonly Part[])[]; readonly columns: ReadonlySet<number> };
type Part = string | { readonly column: number };

/**
 * Splits a template into words as a shell would (blanks, quotes, backslashes; nothing else means anything), and finds its places: `{NAME}` with the name
 * of a column. `{{` and `}}` stand for braces; braces around what can't be a name stay as they are. Throws `USAGE`.
 */
export function parseTemplate(text: string, header: readonly string[]): Template {
  const words = splitWords(text).map((word) => partsOf(word, header));
  const columns = new Set(words.flat().flatMap((part) => (typeof part === "string" ? [] : [part.column])));
  return { words, columns };
}

/** The words with the values of one row in their places. A value never becomes more than one word, and nothing in it means anything. */
export function fillTemplate({ words }: Template, row: readonly string[]): string[] {
  return words.map((parts) => parts.map((part) => (typeof part === "string" ? part : (row[part.column] ?? ""))).join(""));
}

const WORD = /\s+|'([^']*)'|"((?:[^"\\]|\\.)*)"|\\(.)|([^\s'"\\]+)|(['"\\])/gsu;

function splitWords(text: string): readonly string[] {
  const words: string[] = [];
  let word: string | undefined;
  for (const [all, single, double, escaped, plain, open] of text.matchAll(WORD)) {
    if (open !== undefined)
      throw badTemplate(
        `${open === "\\" ? "a backslash" : "a quote"} in it has no other side`,
        "Close the quote, or write it behind a backslash.",
      );
    const piece = single ?? double?.replace(/\\(["\\])/g, "$1") ?? escaped ?? plain;
    if (piece !== undefined) word = (word ?? "") + piece;
    else if (word !== undefined && all.trim() === "") {
      words.push(word);
      word = undefined;
    }
  }
  if (word !== undefined) words.push(word);
  if (words.length === 0) throw badTemplate("it is empty", "Write --template 'python run.py {name}'.");
  return words;
}

const PLACE = /\{\{|\}\}|\{([^{}]+)\}/gu;
const NAME = /^[A-Za-z_][\w.-]*$/;

function partsOf(word: string, header: readonly string[]): readonly Part[] {
  const parts: Part[] = [];
  let from = 0;
  for (const { 0: all, 1: name, index } of word.matchAll(PLACE)) {
    const part = name === undefined ? all.charAt(0) : placeOf(name, header);
    if (part === undefined) continue;
    parts.push(word.slice(from, index), part);
    from = index + all.length;
  }
  return [...parts, word.slice(from)];
}

function placeOf(name: string, header: readonly string[]): Part | undefined {
  const column = header.indexOf(name);
  if (column !== -1) return { column };
  if (!NAME.test(name)) return undefined;
  throw badTemplate(
    `{${name}} names no column; there are ${header.map((title) => JSON.stringify(title)).join(", ")}`,
    `Name a column, or write {{${name}}} for the text itself.`,
  );
}

function badTemplate(sentence: string, hint: string): SandboxError {
  return new SandboxError("USAGE", `--template can't be used: ${sentence}.`, hint);
}
