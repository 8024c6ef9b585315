import { isMap, isScalar, isSeq, LineCounter, type Node, parseDocument } from "yaml";
import { type Faults, note } from "./fault.ts";
import { judgeTokens } from "./judge-tokens.ts";
import type { Where } from "./task-file.ts";

/** What a YAML document is made of, without anything that refers, types by hand or runs. Offsets as in `Fault`. */
export type Value = Scalar | List | Table;
export type Scalar = Span & { readonly kind: "scalar"; readonly value: string | number | boolean | null; readonly source: string };
export type List = Span & { readonly kind: "list"; readonly items: readonly Value[] };
export type Table = Span & { readonly kind: "map"; readonly pairs: readonly { readonly key: Value; readonly value: Value }[] };
type Span = { readonly offset: number; readonly end: number };

/** The value of a document, or `undefined` if there is none, and a way to turn its offsets into lines and columns. */
export type Parsed = { readonly root: Value | undefined; readonly where: (offset: number) => Where };

/**
 * Reads one document of YAML 1.2 with the core schema. Notes what is not YAML, and what this project does not take: anchors, aliases,
 * tags, directives, a second document. Duplicate keys are left to the caller. Takes time in proportion to the text.
 */
export function parseYaml(text: string, faults: Faults): Parsed {
  const document = parseDocument(text.slice(0, judgeTokens(text, faults)), OPTIONS);
  for (const { pos, code, message } of document.errors) {
    const fault = code === "MULTIPLE_DOCS" ? "a second document begins" : `not YAML: ${plain(message)}`;
    note(faults, { offset: pos[0], sentence: fault, hint: HINT });
  }
  if (document.contents === null)
    note(faults, { offset: 0, known: text.length, sentence: "the file is empty", hint: "Write version: 1 at least." });
  return { root: document.contents === null ? undefined : toValue(document.contents, 0), where: countLines(text) };
}

/** Its own search for duplicate keys compares each key with all others, so its time grows with the square of a file made for it. */
const OPTIONS = { version: "1.2", schema: "core", merge: false, resolveKnownTags: false, uniqueKeys: false, prettyErrors: false } as const;
const HINT = "Write one document of YAML 1.2: check quotes, brackets and indentation here.";

function countLines(text: string): (offset: number) => Where {
  const counter = new LineCounter();
  counter.addNewLine(0);
  for (const { index } of text.matchAll(/\n/g)) counter.addNewLine(index + 1);
  return (offset) => {
    const { line, col } = counter.linePos(offset);
    return { line, column: col };
  };
}

/** The parser's message as a part of a sentence of one line. */
function plain(message: string): string {
  const line = message.split("\n", 1)[0] ?? "";
  return `${line.charAt(0).toLowerCase()}${line.slice(1, 160)}`.replace(/[.:]$/, "");
}

/** `offset` is where a value would stand that is not there. */
function toValue(node: Node | null, offset: number): Value {
  const [start = offset, end = offset] = node?.range ?? [];
  const span = { offset: start, end };
  if (isMap<Node, Node | null>(node)) {
    const pairs = node.items.map(({ key, value }) => ({ key: toValue(key, start), value: toValue(value, key.range?.[0] ?? start) }));
    return { ...span, kind: "map", pairs };
  }
  if (isSeq<Node>(node)) return { ...span, kind: "list", items: node.items.map((item) => toValue(item, start)) };
  const value = isScalar(node) ? node.value : null;
  const source = isScalar(node) ? (node.source ?? "") : "";
  const known = typeof value === "string" || typeof value === "number" || typeof value === "boolean";
  return { ...span, kind: "scalar", value: known ? value : null, source };
}
