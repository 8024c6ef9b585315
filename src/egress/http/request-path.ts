import { SandboxError } from "../../core/errors.ts";
import { matchSequence } from "../../core/match-sequence.ts";
import { quoteText } from "../quote-text.ts";

export type RequestTarget = { readonly path: string; readonly query: string | undefined } | { readonly refused: string };

/**
 * The path and query of an HTTP/1.1 request in origin-form (RFC 9112 3.2.1). In the path, escapes of unreserved characters are decoded, once,
 * and the others are in capitals (RFC 3986 6.2.2); the query, without its `?`, is as it came. Refused, with a few words that say why, is
 * whatever two readers could take for different paths: the one that judges here and the server.
 */
export function parseRequestTarget(target: string): RequestTarget {
  if (target.length > MAX_TARGET) return { refused: "longer than 8 KiB" };
  const stray = judgeCharacters(target);
  if (stray !== undefined) return { refused: stray };
  const mark = target.indexOf("?");
  const path = normaliseEscapes(mark === -1 ? target : target.slice(0, mark));
  const refused = judgePath(path);
  return refused === undefined ? { path, query: mark === -1 ? undefined : target.slice(mark + 1) } : { refused };
}

/** A path in which `*` stands for any characters of one segment, and `**` for any number of segments. Frozen. */
export interface PathPattern {
  /** The canonical spelling, which parses to an equal pattern. */
  readonly text: string;
  /** Each segment as its characters and escapes; a `*` among them is the wildcard. */
  readonly segments: readonly ("**" | readonly string[])[];
}

/**
 * `*` within a segment stands for any of its characters, none too; `**` as a whole segment for any number of segments, none too; everything
 * else for itself, with escapes as in `parseRequestTarget`. Throws `BAD_RULE` for a path that no accepted request can have, for a query, and
 * for `**` next to anything.
 */
export function parsePathPattern(text: string): PathPattern {
  const path = normaliseEscapes(text);
  const why = judgePattern(text, path);
  if (why !== undefined)
    throw new SandboxError("BAD_RULE", `The path ${quoteText(text)} ${why}.`, "Write a path such as /repos/*/issues or /v1/**.");
  const segments = splitPath(path).map((segment) => (segment === "**" ? segment : Object.freeze(splitCharacters(segment))));
  return Object.freeze({ text: path, segments: Object.freeze(segments) });
}

/**
 * Whether the pattern stands for the path, as `parseRequestTarget` gives it. Takes at most as many steps as the product of both lengths. An
 * escaped character is not the plain one (RFC 3986 2.2), so patterns can only allow: `/a%21` is not what `/a!` forbids.
 */
export function isPathMatch(pattern: PathPattern, path: string): boolean {
  if (!path.startsWith("/")) return false;
  return matchSequence(pattern.segments, splitPath(path).map(splitCharacters), {
    isStar: (part) => part === "**",
    fits: (part, segment) => part !== "**" && matchSequence(part, segment, { isStar: isWildcard, fits: isSame }),
  });
}

const MAX_TARGET = 8192;
const MAX_PATTERN = 1024;

function judgeCharacters(target: string): string | undefined {
  if (target === "") return "empty";
  if (/[\0-\x20\x7f]/.test(target)) return "a control character or space";
  if (/[^\0-\x7f]/.test(target)) return "a character that is not ASCII";
  if (target.includes("#")) return "a fragment";
  return /%(?![\dA-Fa-f]{2})/.test(target) ? "an incomplete escape" : undefined;
}

function normaliseEscapes(path: string): string {
  return path.replace(/%[\dA-Fa-f]{2}/g, (escaped) => {
    const character = String.fromCharCode(Number.parseInt(escaped.slice(1), 16));
    return /[\w.~-]/.test(character) ? character : escaped.toUpperCase();
  });
}

/** Judges a path whose escapes are normalised: only then do `%2e` and `%25%32%66` show what they are. */
function judgePath(path: string): string | undefined {
  if (!path.startsWith("/")) return "no slash at its beginning";
  if (path.includes("\\") || path.includes("%5C")) return "a backslash";
  if (path.includes("%2F")) return "an escaped slash";
  if (/%(?:[01][\dA-F]|7F)/.test(path)) return "an escaped control character";
  if (/%25[\dA-Fa-f]{2}/.test(path)) return "an escape of an escape";
  if (path.includes("//")) return "an empty segment";
  const stray = /[^\w.~!$&'()*+,;=:@%/-]/.exec(path)?.[0];
  if (stray !== undefined) return `a bare ${stray}`;
  if (!isUtf8(path)) return "escapes that are not UTF-8";
  return judgeSegments(splitPath(path));
}

/** Some servers drop what follows a semicolon, others keep it; some trim white space, so that `..;x` and `..%20` lead upwards there. */
function judgeSegments(segments: readonly string[]): string | undefined {
  const bare = segments.map((segment) => segment.replace(/(?:;|%3B).*$/, ""));
  if (bare.some((segment) => /^\.{1,2}$/.test(decodeURIComponent(segment).trim()))) return "a dot segment";
  const parameters = segments.findIndex((segment, index) => segment !== bare[index]);
  if (parameters === -1) return undefined;
  return parameters < segments.length - 1 || bare[parameters] === "" ? "a parameter before a slash" : undefined;
}

function isUtf8(path: string): boolean {
  try {
    decodeURIComponent(path);
    return true;
  } catch {
    return false;
  }
}

function judgePattern(text: string, path: string): string | undefined {
  if (text === "") return "is empty";
  if (text.length > MAX_PATTERN) return `is longer than ${MAX_PATTERN} characters`;
  if (text.includes("?")) return "has a query, which rules do not judge";
  const refused = judgeCharacters(text) ?? judgePath(path);
  if (refused !== undefined) return `has ${refused}`;
  return splitPath(path).some((segment) => segment.includes("**") && segment !== "**") ? "has ** next to something else" : undefined;
}

function splitPath(path: string): string[] {
  return path.slice(1).split("/");
}

/** An escape counts as one character, so that `*` takes all of it or nothing. */
function splitCharacters(segment: string): string[] {
  return segment.match(/%..|./g) ?? [];
}

function isWildcard(character: string): boolean {
  return character === "*";
}

function isSame(character: string, other: string): boolean {
  return character === other;
}
