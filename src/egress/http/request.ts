import type { IncomingMessage } from "node:http";
import type { Rule } from "../rule.ts";
import { isPathMatch, parseRequestTarget } from "./request-path.ts";

/** Where the requests of one connection go, as the name and the port that the task connected to say. */
export type Origin = { readonly name: string; readonly port: number; readonly secure: boolean; readonly rules: readonly Rule[] };

/** The head of one request as it came: `rawHeaders` are names and values in turn. */
export type RequestHead = {
  readonly method: string;
  readonly target: string;
  readonly rawHeaders: readonly string[];
  readonly upgrade: boolean;
};

export type RequestVerdict =
  | { readonly kind: "allowed"; readonly rule: Rule; readonly target: string }
  | { readonly kind: "denied"; readonly rule: string | null; readonly why: string }
  | { readonly kind: "malformed"; readonly why: string };

/** Judges one request against the rules of its connection. Budgets are not touched. */
export function decideRequest(head: RequestHead, origin: Origin): RequestVerdict {
  const hosts = valuesOf(head.rawHeaders, "host");
  const [host] = hosts;
  if (hosts.length !== 1 || host === undefined) return { kind: "malformed", why: `it has ${hosts.length} Host headers` };
  if (!isHostOf(origin, host))
    return { kind: "denied", rule: null, why: `its Host is ${JSON.stringify(host.slice(0, 100))}, not ${origin.name}` };
  const target = originForm(head.target, origin);
  if (target === undefined) return { kind: "denied", rule: null, why: "its target names another host" };
  const parsed = parseRequestTarget(target);
  if ("refused" in parsed) return { kind: "malformed", why: `its target is refused: ${parsed.refused}` };
  const refusals = origin.rules.map((rule) => ({ rule, why: whyNot(rule, { ...head, path: parsed.path }) }));
  const allowing = refusals.find(({ why }) => why === undefined)?.rule;
  const canonical = parsed.query === undefined ? parsed.path : `${parsed.path}?${parsed.query}`;
  if (allowing !== undefined) return { kind: "allowed", rule: allowing, target: canonical };
  return { kind: "denied", rule: refusals[0]?.rule.text ?? null, why: refusals[0]?.why ?? "no rule allows it" };
}

function whyNot(rule: Rule, { method, path, upgrade }: RequestHead & { readonly path: string }): string | undefined {
  if (upgrade && !rule.upgrade.includes("websocket")) return "it wants to change the protocol";
  if (rule.methods !== undefined && !rule.methods.has(method)) return `the method ${method} is not allowed`;
  if (rule.paths !== undefined && !rule.paths.some((pattern) => isPathMatch(pattern, path))) return `the path ${path} is not allowed`;
  return undefined;
}

/** RFC 9110 7.2: a default port may be left out, any other has to be there. */
function isHostOf({ name, port, secure }: Origin, host: string): boolean {
  const written = host.toLowerCase();
  const usual = port === (secure ? 443 : 80);
  return written === `${name}:${port}` || (usual && written === name);
}

/** RFC 9112 3.2: the absolute form, which clients of proxies use, must name the same origin. `*` is for `OPTIONS` alone. */
function originForm(target: string, origin: Origin): string | undefined {
  if (!/^https?:\/\//i.test(target)) return target;
  const scheme = origin.secure ? "https://" : "http://";
  const rest = target.slice(scheme.length);
  const end = rest.search(/[/?#]/);
  const authority = end < 0 ? rest : rest.slice(0, end);
  if (!target.toLowerCase().startsWith(scheme) || !isHostOf(origin, authority)) return undefined;
  return end < 0 ? "/" : `${rest[end] === "/" ? "" : "/"}${rest.slice(end)}`;
}

/** RFC 9110 7.6.1, and what proxies were spoken to with before it. */
const HOP_BY_HOP = new Set([
  "connection",
  "keep-alive",
  "proxy-authenticate",
  "proxy-authorization",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);

/** What an origin says about other ways to itself would lead around the gate (RFC 7838). */
export const NOT_FOR_THE_TASK: readonly string[] = ["alt-svc"];

/** `Connection` can't take these away: without its length a body is the next request to who reads on, and without its Host nobody's. */
const ALWAYS_KEPT = new Set(["content-length", "host"]);

/** The headers that go on: without those for this hop alone, and without those that `Connection` names. */
export function endToEnd(rawHeaders: readonly string[], dropped: readonly string[] = []): string[] {
  const named = valuesOf(rawHeaders, "connection").flatMap((value) =>
    value
      .toLowerCase()
      .split(",")
      .map((name) => name.trim())
      .filter((name) => !ALWAYS_KEPT.has(name)),
  );
  const gone = new Set([...named, ...dropped]);
  const kept: string[] = [];
  for (const [name, value] of pairsOf(rawHeaders)) {
    const key = name.toLowerCase();
    if (!HOP_BY_HOP.has(key) && !gone.has(key)) kept.push(name, value);
  }
  return kept;
}

/** The headers of a request as they go on: its framing is said anew, whatever way it came. */
export function outgoingHeaders(
  { rawHeaders, headers, method }: IncomingMessage,
  { mayChangeLength }: { readonly mayChangeLength: boolean },
): readonly string[] {
  const kept = endToEnd(rawHeaders, ["expect"]);
  const length = headers["content-length"];
  if (headers["transfer-encoding"] !== undefined || (mayChangeLength && length !== undefined))
    return [...endToEnd(kept, ["content-length"]), "Transfer-Encoding", "chunked"];
  const needsLength = method === "POST" || method === "PUT" || method === "PATCH";
  return needsLength && length === undefined ? [...kept, "Content-Length", "0"] : kept;
}

/** What the head of a request takes on the wire: what could be said in bodies can be said in paths and headers too, and counts as well. */
export function headBytes(method: string, target: string, headers: readonly string[]): number {
  const line = `${method} ${target} HTTP/1.1\r\n\r\n`.length;
  return headers.reduce((sum, word) => sum + word.length + SEPARATOR_BYTES, line);
}

/** A colon and a space behind a name, a line end behind a value. */
const SEPARATOR_BYTES = 2;

export function valuesOf(rawHeaders: readonly string[], wanted: string): string[] {
  const values: string[] = [];
  for (const [name, value] of pairsOf(rawHeaders)) if (name.length === wanted.length && name.toLowerCase() === wanted) values.push(value);
  return values;
}

export function pairsOf(rawHeaders: readonly string[]): [string, string][] {
  const pairs: [string, string][] = [];
  for (let at = 0; at < rawHeaders.length; at += 2) pairs.push([rawHeaders[at] ?? "", rawHeaders[at + 1] ?? ""]);
  return pairs;
}
