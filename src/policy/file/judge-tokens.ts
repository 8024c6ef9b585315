import { CST, Lexer } from "yaml";
import { type Fault, type Faults, note } from "./fault.ts";

/**
 * Notes the first token that is legal in YAML and not taken here. Answers up to where the text may be parsed: the parser recurses, and at
 * the end of the stack it can take the process down instead of throwing. Tokens come one after the other, so nothing is expanded or
 * nested to find this.
 */
export function judgeTokens(text: string, faults: Faults): number {
  const state: State = { indicators: [0], column: 0, isFirst: true, count: 0 };
  let offset = 0;
  let isText = false;
  for (const token of new Lexer().lex(text)) {
    const type = isText ? "scalar" : CST.tokenType(token);
    const isControl = !isText && (token === CST.SCALAR || token === CST.DOCUMENT || token === CST.FLOW_END);
    isText = !isText && token === CST.SCALAR;
    if (isControl) continue;
    if (isTooDeep(type, state)) {
      note(faults, { offset, sentence: "the file is nested too deep", hint: "Write at most four levels." });
      return offset;
    }
    const why = judgeToken(type, state);
    if (why !== undefined) note(faults, { offset, ...why });
    advance(state, type, token);
    if (state.count > MAX_TOKENS) {
      /** Like its size, this is about the file as a whole: nothing in it comes before. */
      note(faults, { offset: 0, known: -1, sentence: "the file holds too many values", hint: "Write what the task needs and no more." });
      return 0;
    }
    offset += token.length;
  }
  return text.length;
}

type Type = CST.TokenType | null;
type State = {
  /** Of `-`, `?` and `:`, each of which may open a level: for each open bracket since its last comma, and first for the line outside of them. */
  readonly indicators: number[];
  column: number;
  /** Whether only spaces stand before the token on its line. */
  isFirst: boolean;
  /** How many tokens that are not blank. */
  count: number;
};

/** What these leave room for is parsed in about a second. */
const MAX_TOKENS = 100_000;
const MAX_BRACKETS = 16;
const MAX_INDICATORS = 16;
const MAX_INDENT = 128;

const OPENING: readonly Type[] = ["flow-map-start", "flow-seq-start"];
const CLOSING: readonly Type[] = ["flow-map-end", "flow-seq-end"];
const INDICATORS: readonly Type[] = ["seq-item-ind", "explicit-key-ind", "map-value-ind"];
const BLANK: readonly Type[] = ["space", "newline", "comment"];

function isTooDeep(type: Type, { indicators, isFirst, column }: State): boolean {
  if (OPENING.includes(type)) return indicators.length > MAX_BRACKETS;
  if (INDICATORS.includes(type) && (indicators.at(-1) ?? 0) >= MAX_INDICATORS) return true;
  return isFirst && !BLANK.includes(type) && column > MAX_INDENT;
}

function judgeToken(type: Type, state: State): Pick<Fault, "sentence" | "hint"> | undefined {
  if (type === "anchor")
    return { sentence: "anchors (&name) are not taken", hint: "Write the value out, or quote a text that begins with &." };
  if (type === "alias")
    return { sentence: "aliases (*name) are not taken", hint: "Write the value out, or quote a text that begins with *." };
  if (type === "tag") return { sentence: "tags (!name) are not taken", hint: "Leave it out, or quote a text that begins with !." };
  if (type === "directive-line") return { sentence: "directives (%NAME) are not taken", hint: "Leave the line out." };
  if (type === "doc-start" && state.count > 0) return { sentence: "a second document begins", hint: "Write one document." };
  return undefined;
}

function advance(state: State, type: Type, token: string): void {
  const { indicators } = state;
  if (OPENING.includes(type)) indicators.push(0);
  if (CLOSING.includes(type) && indicators.length > 1) indicators.pop();
  if (INDICATORS.includes(type)) indicators.push((indicators.pop() ?? 0) + 1);
  if (type === "comma") indicators.splice(-1, 1, 0);
  if (!BLANK.includes(type)) state.count += 1;
  const line = token.lastIndexOf("\n") + 1;
  if (line > 0 && indicators.length === 1) indicators[0] = 0;
  state.isFirst = line > 0 ? line === token.length || type === "space" : state.isFirst && type === "space";
  state.column = line > 0 ? token.length - line : state.column + token.length;
}
