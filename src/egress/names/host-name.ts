import { isIP } from "node:net";
import { domainToASCII, domainToUnicode } from "node:url";
import { SandboxError } from "../../core/errors.ts";
import { quoteText } from "../quote-text.ts";

/**
 * The canonical form of a host name: lower case, without the dot of the root, every label in the form it is looked up in (A-label, RFC 5890).
 * Labels of 1 to 63 letters, digits and inner hyphens, 253 characters in all (RFC 1035 2.3.4, RFC 1123 2.1). Throws `BAD_HOST_NAME` for
 * anything else, for an address in any spelling, and for a name that UTS #46 would map to one that looks different.
 */
export function parseHostName(text: string): string {
  const judged = judgeHostName(text);
  if ("name" in judged) return judged.name;
  throw new SandboxError(
    "BAD_HOST_NAME",
    `The host name ${quoteText(text)} ${judged.refused}.`,
    "Write a name such as api.example.com: letters, digits and inner hyphens between dots.",
  );
}

/** Whether `parseHostName` takes the text. */
export function isHostName(text: string): boolean {
  return "name" in judgeHostName(text);
}

export type JudgedName = { readonly name: string } | { readonly refused: string; readonly isAddress: boolean };

/** `parseHostName` without throwing: the canonical name, or the end of a sentence that says why there is none. */
export function judgeHostName(text: string): JudgedName {
  const refused = judgeText(text);
  if (refused !== undefined) return { refused, isAddress: false };
  if (isAddress(text)) return { refused: ADDRESS, isAddress: true };
  const labels: string[] = [];
  for (const label of text.replace(/\.$/, "").split(".")) {
    const ascii = toLookupForm(label);
    if (ascii === undefined) return { refused: DISGUISED, isAddress: false };
    const why = judgeLabel(ascii);
    if (why !== undefined) return { refused: why, isAddress: false };
    labels.push(ascii);
  }
  const name = labels.join(".");
  if (isNumber(labels.at(-1) ?? "")) return { refused: ADDRESS, isAddress: true };
  return name.length > MAX_NAME ? { refused: TOO_LONG, isAddress: false } : { name };
}

const MAX_NAME = 253;
const MAX_LABEL = 63;
/** A character outside the basic plane counts twice here, but can take only one character of an A-label. */
const MAX_TEXT = 2 * (MAX_NAME + 1);

const ADDRESS = "is an address, not a name";
const DISGUISED = "has a label that is looked up as something other than what it shows";
const TOO_LONG = `is longer than ${MAX_NAME} characters`;

function judgeText(text: string): string | undefined {
  if (text === "" || text === ".") return "is empty";
  if (text.length > MAX_TEXT) return TOO_LONG;
  if (/[\s\p{Cc}]/u.test(text)) return "holds white space or a control character";
  if (/[\u3002\uff0e\uff61]/.test(text)) return "holds a dot that is not the ASCII one";
  return undefined;
}

/** An address as it is, in brackets, or with a port or the length of a prefix behind it. */
function isAddress(text: string): boolean {
  const bare = text.replace(/[:/]\d+$/, "");
  return [text, bare, bare.replace(/^\[(.*)\]$/, "$1")].some((form) => isIP(form) !== 0);
}

/** Where WHATWG URL ends "in a number", a resolver may read an address: `127.1`, `0x7f.1`, `1.2.3.0x4`, `2130706433`. */
function isNumber(label: string): boolean {
  return /^(?:\d+|0x[\da-f]*)$/.test(label);
}

/**
 * The A-label of a label in any letters, in lower case. `undefined` if the mapping of UTS #46 does more than make letters small, such as
 * turn full-width digits into digits or drop a soft hyphen: what is shown would not be what is looked up. Punycode has to be the one
 * encoding of what it stands for.
 */
function toLookupForm(label: string): string | undefined {
  const small = Array.from(label, (character) => character.toLowerCase()).join("");
  if (small.startsWith("xn--")) return isCanonicalPunycode(small) ? small : undefined;
  if (/^[\0-\x7f]*$/.test(label)) return small;
  const ascii = domainToASCII(label);
  if (!ascii.startsWith("xn--") || !isCanonicalPunycode(ascii)) return undefined;
  return domainToUnicode(ascii) === small.normalize("NFC") ? ascii : undefined;
}

/** What RFC 5892 lets labels hold, but for the rules of joiners: letters, marks, digits, inner hyphens and the dots and quotes of four scripts. */
const U_LABEL = /^(?!-)(?=.*\p{L})[\p{L}\p{M}\p{Nd}\u00b7\u05f3\u05f4\u30fb-]+(?<!-)$/u;

function isCanonicalPunycode(label: string): boolean {
  const decoded = domainToUnicode(label);
  return decoded !== label && U_LABEL.test(decoded) && domainToASCII(decoded) === label;
}

function judgeLabel(label: string): string | undefined {
  if (label === "") return "has an empty label";
  if (label.length > MAX_LABEL) return `has a label of more than ${MAX_LABEL} characters`;
  if (label.includes("_")) return "has an underscore, which names of services have, but not of hosts";
  const wrong = /[^a-z0-9-]/u.exec(label)?.[0];
  if (wrong !== undefined) return `holds ${quoteText(wrong)}, which no host name does`;
  return label.startsWith("-") || label.endsWith("-") ? "has a label with a hyphen at its edge" : undefined;
}
