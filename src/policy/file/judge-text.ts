import { type Faults, note, quote } from "./fault.ts";

/** Notes the first character that a task file can't hold: what YAML 1.2 (section 5.1) excludes, tabs, and what hides from its reader. */
export function judgeText(text: string, faults: Faults): void {
  const found = FORBIDDEN.exec(text);
  if (found === null) return;
  const [sentence, hint] = explain(found[0], found.index);
  note(faults, { offset: found.index, sentence, hint });
}

/** C0 and C1 without line feeds, a carriage return that ends no line, lone surrogates, marks of direction, and what decoders leave behind. */
const FORBIDDEN =
  /[\0-\x09\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ufffd-\uffff]|\r(?!\n)|\p{Surrogate}/u;

function explain(character: string, offset: number): readonly [sentence: string, hint: string] {
  if (character === "\t") return ["the file holds a tab", "Indent with spaces."];
  if (character === "\0") return ["the file holds a NUL character", "Save it as a text file in UTF-8."];
  if (character === "\ufeff" && offset === 0) return ["the file begins with a byte order mark", "Save it as UTF-8 without BOM."];
  if (character === "\ufffd" || /\p{Surrogate}/u.test(character)) return ["the file is not UTF-8", "Save it in UTF-8."];
  const code = character.charCodeAt(0).toString(16).toUpperCase().padStart(4, "0");
  return [`the file holds the invisible character U+${code}`, "Remove it."];
}

/** What is wrong with a text that is written in the file with escapes, or `undefined`. */
export function judgeWord(word: string): string | undefined {
  if (word.trim() === "") return "the text is empty";
  if (/[\r\n]/.test(word)) return `${quote(word)} holds a line break`;
  return FORBIDDEN.test(word) ? `${quote(word)} holds an invisible character` : undefined;
}
