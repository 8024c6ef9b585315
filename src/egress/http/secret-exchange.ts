import type { IncomingMessage } from "node:http";
import type { Secrets } from "../secrets/secret.ts";
import { decodingOf } from "./content-coding.ts";
import { NotForwarded, type Passage, type PassageRefused, type Received } from "./forward.ts";
import { endToEnd } from "./request.ts";
import { UpstreamError } from "./upstream.ts";

/** One request and its answer, as they pass by the secrets of the run. */
export type Exchange = {
  /** The headers as they go on, with values in place of placeholders. Throws `SECRET_UNAVAILABLE` and `NotForwarded`. */
  outgoing(headers: readonly string[]): Promise<readonly string[]>;
  /** What the body passes on its way out. */
  readonly outward: Passage;
  readonly mayChangeLength: boolean;
  /** The answer as the task may see it. Throws `UpstreamError` where it can't be searched. */
  receive(answer: IncomingMessage, headers: readonly string[]): Received;
  /** Reads again what the origin did not take; answers whether something is another value now. One that can't be read stays as it is. */
  isStale(answer: IncomingMessage): Promise<boolean>;
};

/** Where a request goes, and its target as it goes on. */
export type Destined = { readonly host: string; readonly target: string };

export type Exchanges = {
  /** Judges the target at once; throws `NotForwarded` when a placeholder stands in it. */
  open(request: IncomingMessage, to: Destined): Exchange;
  /** What is said about an origin, without the values that it may have put into it. */
  scrub(text: string): string;
};

export type ExchangesOptions = {
  readonly onUsed: (name: string, host: string) => void;
  /** Milliseconds that only grow. */
  readonly now: () => number;
};

const UNAUTHORIZED = 401;
/** How often a secret is read again at most, since reading can mean running a command. */
const REFRESH_MS = 5_000;
/** Answers of hosts without secrets that are searched all the same: what people or programs read as text; what has no type is read as if it were one. */
const TEXT = /^(?:text\/|application\/(?:[\w.+-]*\+)?(?:json|xml)\b|application\/(?:javascript|x-www-form-urlencoded|x-ndjson|yaml)\b|$)/i;

/** Takes the requests of a run, and their answers, past its secrets. */
export function createExchanges(secrets: Secrets, { onUsed, now }: ExchangesOptions): Exchanges {
  const refreshed = new Map<string, number>();

  /** A task can have its origin answer 401 as often as it likes. */
  function mayRefresh(secret: string): boolean {
    if (now() - (refreshed.get(secret) ?? Number.NEGATIVE_INFINITY) < REFRESH_MS) return false;
    refreshed.set(secret, now());
    return true;
  }

  return {
    open: (request, to) => openExchange(request, to, { secrets, onUsed: (name) => onUsed(name, to.host), mayRefresh }),
    scrub: (text) => secrets.scrubText(text),
  };
}

type Context = { readonly secrets: Secrets; readonly onUsed: (name: string) => void; readonly mayRefresh: (secret: string) => boolean };

function openExchange(request: IncomingMessage, { host, target }: Destined, { secrets, onUsed, mayRefresh }: Context): Exchange {
  const judged = secrets.judgeTarget(target);
  if (judged.kind === "refused") throw new NotForwarded(whyOf(judged));
  const kind = { contentType: request.headers["content-type"], contentEncoding: request.headers["content-encoding"] };
  const scanner = secrets.createBodyScanner(host, kind, use);
  const concerned = secrets.concerns(host);
  const used = new Set<string>();

  function use(name: string): void {
    if (!used.has(name)) onUsed(name);
    used.add(name);
  }

  async function outgoing(headers: readonly string[]): Promise<readonly string[]> {
    const asked = concerned ? searchable(headers) : headers;
    const substituted = await secrets.substituteHeaders(asked, host);
    if (substituted.kind === "refused") throw new NotForwarded(whyOf(substituted));
    if (substituted.kind === "clean") return asked;
    for (const name of substituted.used) use(name);
    return substituted.rawHeaders;
  }

  function receive(answer: IncomingMessage, headers: readonly string[]): Received {
    const clean = secrets.scrubHeaders(headers);
    if (!hasBody(request, answer)) return { headers: clean };
    if (!concerned && !TEXT.test(answer.headers["content-type"] ?? "")) return { headers: clean };
    const inward = secrets.createEchoScrubber();
    if (!concerned) return { headers: endToEnd(clean, ["content-length"]), inward };
    const decoding = decodingOf(answer.rawHeaders);
    if ("unknown" in decoding)
      throw new UpstreamError({
        kind: "failed",
        why: `no secret can be looked for in its answer, which is encoded with ${decoding.unknown}`,
      });
    return { headers: endToEnd(clean, CHANGED), decoders: decoding.decoders, inward };
  }

  return {
    outgoing,
    outward: { push: async (chunk) => bytesOf(await scanner.push(chunk)), end: async () => bytesOf(await scanner.end()) },
    mayChangeLength: scanner.mayChangeLength,
    receive,
    isStale: async (answer) => {
      if (answer.statusCode !== UNAUTHORIZED) return false;
      const changed = await Promise.all([...used].filter(mayRefresh).map((name) => secrets.refresh(name).catch(() => false)));
      return changed.includes(true);
    },
  };
}

/** What asks for an answer that can't be searched: one that is compressed, or a part of which the rest may come with the next request. */
const UNSEARCHABLE = ["accept-encoding", "range", "if-range"];
/** What no longer holds of a body that was decoded and searched. */
const CHANGED = ["content-length", "content-encoding", "accept-ranges"];
const NO_CONTENT = new Set([101, 204, 304]);

function searchable(headers: readonly string[]): readonly string[] {
  return [...endToEnd(headers, UNSEARCHABLE), "Accept-Encoding", "identity"];
}

/** RFC 9112 6.3: these have none, whatever their headers say, which tell of what there would be. */
function hasBody({ method }: IncomingMessage, { statusCode }: IncomingMessage): boolean {
  return method !== "HEAD" && !NO_CONTENT.has(statusCode ?? 0);
}

type Refused = { readonly kind: "refused"; readonly secret: string; readonly why: string };

function bytesOf(scanned: { readonly kind: "pass"; readonly bytes: Buffer } | Refused): Buffer | PassageRefused {
  return scanned.kind === "pass" ? scanned.bytes : { refused: whyOf(scanned) };
}

function whyOf({ secret, why }: Refused): string {
  return `the secret ${secret}: ${why}`;
}
