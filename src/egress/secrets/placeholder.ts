import { randomBytes } from "node:crypto";
import { base64Cores } from "./encoded-forms.ts";
import { createNeedleSearch } from "./needle-search.ts";
import type { SecretSpec } from "./secret-spec.ts";

/** A secret and what the task sees of it. */
export type Guarded = { readonly spec: SecretSpec; readonly placeholder: string };

const SHOWN_NAME = 24;

/**
 * `sbx-secret-NAME-` and 128 random bits in hexadecimal: letters, digits, `-` and `_` only, so that no header, URL, JSON string or shell needs to write it
 * in another way; at most 68 characters.
 */
export function createPlaceholder(name: string): string {
  return `sbx-secret-${name.slice(0, SHOWN_NAME)}-${randomBytes(16).toString("hex")}`;
}

/** Matches every placeholder as it is written. Placeholders need no escape in an expression, and none is a part of another. */
export function placeholderPattern(guarded: readonly Guarded[]): RegExp {
  return guarded.length === 0 ? /(?!)/g : new RegExp(guarded.map(({ placeholder }) => placeholder).join("|"), "g");
}

const ROUNDS = 3;

/** The secret whose placeholder a short text holds in any spelling: in either case, percent-encoded (also repeatedly), JSON-escaped, in base64. */
export function findAnySpelling(text: string, guarded: readonly Guarded[]): Guarded | undefined {
  let plain = text;
  for (let round = 0; round < ROUNDS; round += 1) plain = unescapeText(plain);
  const lower = plain.toLowerCase();
  return guarded.find(
    ({ placeholder }) =>
      lower.includes(placeholder.toLowerCase()) || base64Cores(Buffer.from(placeholder)).some((core) => plain.includes(core)),
  );
}

export type SpellingFinder = { push(chunk: Buffer): Guarded | undefined };

/**
 * The same over a stream, in exact case and one round. Keeps at most one placeholder's length,
 * and needs no end: no spelling is the beginning of another, so each is found with its last byte.
 */
export function createSpellingFinder(guarded: readonly Guarded[]): SpellingFinder {
  const needles = guarded.flatMap((secret) =>
    [secret.placeholder, ...base64Cores(Buffer.from(secret.placeholder))].map((text) => ({ secret, bytes: Buffer.from(text) })),
  );
  const search = createNeedleSearch(needles.map(({ bytes }) => bytes));
  let open = "";
  return {
    push(chunk) {
      const text = open + chunk.toString("latin1");
      open = OPEN_ESCAPE.exec(text.slice(-LONGEST_ESCAPE))?.[0] ?? "";
      const found = search
        .push(Buffer.from(unescapeText(text.slice(0, text.length - open.length)), "latin1"))
        .find((segment) => segment.kind === "found");
      return found === undefined ? undefined : needles[found.needle]?.secret;
    },
  };
}

const LONGEST_ESCAPE = 5;
const ESCAPE = /%[0-9a-f]{2}|\\u00[0-9a-f]{2}|\\[nr/]|[\r\n]/gi;
const OPEN_ESCAPE = /(?:%[0-9a-f]?|\\(?:u(?:0(?:0[0-9a-f]?)?)?)?)$/i;

/** Bytes behind `%XX` and `\u00XX`. Line breaks go, also as `\n`: base64 is often folded. */
function unescapeText(text: string): string {
  return text.replaceAll(ESCAPE, (found) => {
    if (found.length > 2) return String.fromCharCode(Number.parseInt(found.slice(-2), 16));
    return found === "\\/" ? "/" : "";
  });
}
