import type { IncomingMessage } from "node:http";
import type { Book } from "../accounts/book.ts";
import type { Refusal } from "../refusal.ts";
import { decideRequest, type Origin, type RequestHead, type RequestVerdict, valuesOf } from "./request.ts";

type Allowed = Extract<RequestVerdict, { kind: "allowed" }>;
export type Judged = Allowed | { readonly kind: "refused"; readonly refusal: Refusal };

/** Decides about one request of a connection, takes it from its rule's rate, and books it where it is refused. */
export function judgeRequest(request: IncomingMessage, origin: Origin, book: Book): Judged {
  const { name, port } = origin;
  const verdict = decideRequest(headOf(request), origin);
  if (verdict.kind === "allowed") return withinRate(verdict, origin, book);
  const rule = verdict.kind === "denied" ? verdict.rule : null;
  book.deny({ host: name, port, rule, why: verdict.why });
  const status = verdict.kind === "denied" ? 403 : 400;
  const allow = rule !== null ? { allow: "a rule whose methods and paths cover it" } : {};
  return { kind: "refused", refusal: { status, error: verdict.kind, host: name, rule, why: verdict.why, ...allow } };
}

/**
 * The same for a request that Node.js has taken out of HTTP for its `Upgrade`, which it does whatever it names: it can go on as a WebSocket alone, and
 * one is asked for with GET (RFC 6455 4.1).
 */
export function judgeUpgrade(request: IncomingMessage, origin: Origin, book: Book): Judged {
  const protocols = protocolsOf(request.rawHeaders);
  const isWebSocket = protocols.includes("websocket");
  if (isWebSocket && request.method === "GET") return judgeRequest(request, origin, book);
  const named = JSON.stringify(protocols.join(", ").slice(0, 40));
  const why = isWebSocket ? `it asks for a WebSocket with ${request.method ?? ""}` : `it wants to change the protocol to ${named}`;
  book.deny({ host: origin.name, port: origin.port, rule: null, why });
  return { kind: "refused", refusal: { status: 403, error: "denied", host: origin.name, rule: null, why } };
}

function withinRate(verdict: Allowed, { name, port }: Origin, book: Book): Judged {
  const taken = verdict.rule.rate?.take() ?? { allowed: true as const };
  if (taken.allowed) return verdict;
  const why = "the rule's rate is used up";
  const rule = verdict.rule.text;
  book.deny({ host: name, port, rule, why });
  return { kind: "refused", refusal: { status: 429, error: "rate-limit", host: name, rule, why, retryAfterMs: taken.retryAfterMs } };
}

function headOf({ method = "", url = "", rawHeaders }: IncomingMessage): RequestHead {
  return { method, target: url, rawHeaders, upgrade: protocolsOf(rawHeaders).includes("websocket") };
}

/** What a request would change the protocol to (RFC 9110 7.8), in lower case. */
function protocolsOf(rawHeaders: readonly string[]): readonly string[] {
  return valuesOf(rawHeaders, "upgrade").flatMap((value) =>
    value
      .toLowerCase()
      .split(",")
      .map((name) => name.trim()),
  );
}
