import { isAscii } from "node:buffer";
import { incompleteTail } from "./utf8.ts";

/** Turns a byte stream of unknown making into text that no terminal acts on and no reader overlooks. */
export type Sanitiser = {
  /** The harmless text of `chunk`; up to three bytes, or a carriage return, are held back until it is known what follows. */
  write(chunk: Uint8Array): string;
  /** What was still held back. */
  end(): string;
};

/**
 * Makes terminal control and invisible characters visible. Line feed and tab stay, CR LF becomes LF, every other C0 control and DEL becomes its
 * control picture (`␛`, `␍`, `␈`), so that sequences of ECMA-48 are left as plain text. C1 controls, bidirectional controls, line and paragraph
 * separators, annotation marks and all that Unicode calls default ignorable (zero-width, tags, variation selectors, soft hyphen) become `<U+202E>`;
 * a single variation selector 15 or 16 behind a pictograph stays. What is not UTF-8 becomes U+FFFD, as the Encoding Standard has it.
 * The text does not depend on how the bytes were cut into chunks.
 */
export function createSanitiser(): Sanitiser {
  let held = Buffer.alloc(0);
  let heldReturn = "";
  let previous = "";

  function show(text: string): string {
    if (text === "") return "";
    const shown = sanitise(text, { previous, named: STREAM_NAMES });
    previous = lastCharacter(text);
    return shown;
  }

  return {
    write(chunk) {
      const bytes = held.length === 0 ? asBuffer(chunk) : Buffer.concat([held, chunk]);
      const complete = bytes.length - incompleteTail(bytes);
      held = complete === bytes.length ? NOTHING : Buffer.from(bytes.subarray(complete));
      const text = heldReturn + decode(bytes, complete);
      heldReturn = text.endsWith("\r") ? "\r" : "";
      return show(heldReturn === "" ? text : text.slice(0, -1));
    },
    end() {
      const text = heldReturn + held.toString("utf8");
      held = NOTHING;
      heldReturn = "";
      return show(text);
    },
  };
}

/** The same for one line, such as a file name, a label or an error text: line feed and tab are shown as well. */
export function sanitiseLine(text: string): string {
  const wellFormed = text.replace(LONE_SURROGATE, "\ufffd");
  return LINE_UNSAFE.test(wellFormed) ? sanitise(wellFormed, { previous: "", named: LINE_NAMES }) : wellFormed;
}

const NOTHING = Buffer.alloc(0);
const LONE_SURROGATE = /\p{Surrogate}/gu;
const PICTOGRAPH = /^\p{Extended_Pictographic}$/u;

/**
 * Cheap and never wrong about harmless text: UTF-16 units only, so that surrogates which may begin something invisible count as unsafe. The wide ranges
 * let most characters pass after a few comparisons, the look-behind decides about the others; as one set it is five times slower.
 */
const UNSAFE = unsafeUnits("\\0-\\x08\\x0b-\\x1f");
const LINE_UNSAFE = unsafeUnits("\\0-\\x1f");
const INVISIBLE = /[\0-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\ufff9-\ufffb\p{Default_Ignorable_Code_Point}]/gu;
const LINE_INVISIBLE = /[\0-\x1f\x7f-\x9f\u2028-\u202e\ufff9-\ufffb\p{Default_Ignorable_Code_Point}]/gu;

type Names = { readonly pattern: RegExp; readonly unsafe: RegExp; readonly returns: RegExp | undefined };
const STREAM_NAMES: Names = { pattern: INVISIBLE, unsafe: UNSAFE, returns: /\r\n/g };
const LINE_NAMES: Names = { pattern: LINE_INVISIBLE, unsafe: LINE_UNSAFE, returns: undefined };

function unsafeUnits(controls: string): RegExp {
  const wide = "\\u034f-\\u206f\\u3164\\ud82f-\\uffff";
  const low = "\\u034f\\u061c\\u115f\\u1160\\u17b4\\u17b5\\u180b-\\u180f\\u200b-\\u200f\\u2028-\\u202e\\u2060-\\u206f\\u3164";
  const high = "\\ufe00-\\ufe0f\\ufeff\\uffa0\\ufff0-\\ufffb\\ud82f\\ud834\\udb40-\\udb43";
  return new RegExp(`[${controls}\\x7f-\\x9f\\xad]|[${wide}](?<=[${low}${high}])`);
}

function sanitise(text: string, context: { readonly previous: string; readonly named: Names }): string {
  const { pattern, unsafe, returns } = context.named;
  if (!unsafe.test(text)) return text;
  const lines = returns === undefined ? text : text.replace(returns, "\n");
  return lines.replace(pattern, (character, offset: number) => {
    if (!isSelector(character)) return nameOf(character);
    const before = offset === 0 ? context.previous : lastCharacter(lines.slice(Math.max(0, offset - 2), offset));
    return PICTOGRAPH.test(before) ? character : nameOf(character);
  });
}

function isSelector(character: string): boolean {
  return character === "\ufe0e" || character === "\ufe0f";
}

function nameOf(character: string): string {
  const code = character.codePointAt(0) ?? 0;
  if (code < 0x20) return String.fromCharCode(0x2400 + code);
  if (code === 0x7f) return "\u2421";
  return `<U+${code.toString(16).toUpperCase().padStart(4, "0")}>`;
}

function lastCharacter(text: string): string {
  const last = text.slice(-1);
  return last >= "\udc00" && last <= "\udfff" ? text.slice(-2) : last;
}

function asBuffer(chunk: Uint8Array): Buffer {
  return Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
}

function decode(bytes: Buffer, end: number): string {
  const whole = end === bytes.length ? bytes : bytes.subarray(0, end);
  return whole.toString(isAscii(whole) ? "latin1" : "utf8");
}
