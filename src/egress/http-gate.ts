import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import { SandboxError } from "../core/errors.ts";
import type { Book, Use } from "./book.ts";
import type { DialFailure } from "./dial.ts";
import { forward, NotForwarded } from "./forward.ts";
import type { Learner } from "./learner.ts";
import { encodeRefusal, type Refusal, refuse } from "./refusal.ts";
import {
  decideRequest,
  endToEnd,
  headBytes,
  type Origin,
  outgoingHeaders,
  type RequestHead,
  type RequestVerdict,
  valuesOf,
} from "./request.ts";
import type { Secrets } from "./secret.ts";
import { openExchange } from "./secret-exchange.ts";
import type { Upstream } from "./upstream.ts";
import { openWebSocket } from "./web-socket.ts";

export type HttpGate = {
  /** Serves the requests of one connection, each judged by itself, until it ends. */
  accept(connection: Duplex, origin: Origin): void;
  close(): void;
};

type IdleTimer = { readonly start: () => void; readonly stop: () => void };

export type HttpGateOptions = {
  readonly upstream: Upstream;
  readonly book: Book;
  readonly secrets: Secrets | undefined;
  readonly learner: Learner | undefined;
};

type Sending = { readonly origin: Origin; readonly use: Use; readonly target: string };

/** What an origin says about other ways to itself would lead around the gate (RFC 7838). */
const NOT_FOR_THE_TASK = ["alt-svc"];
/** How often a secret is read again at most, since reading can mean running a command. */
const REFRESH_MS = 5_000;
const LARGEST_HEAD = 64 * 1024;
const MOST_HEADERS = 500;
/** From the end of one answer to the whole head of the next request. */
const IDLE_MS = 60_000;

/** Node.js's own parser reads each request, strictly; what it read is written anew, so that no two readers can differ about it. */
export function createHttpGate({ upstream, book, secrets, learner }: HttpGateOptions): HttpGate {
  const origins = new WeakMap<Duplex, Origin>();
  const idle = new WeakMap<Duplex, IdleTimer>();
  const refreshed = new Map<string, number>();
  const plain = openServer();
  /** With a listener for it, Node.js takes every request with `Upgrade` out of HTTP, also those that go on without. */
  const upgrading = openServer();

  /** A task can have its origin answer 401 as often as it likes. */
  function mayRefresh(secret: string): boolean {
    const now = performance.now();
    if (now - (refreshed.get(secret) ?? Number.NEGATIVE_INFINITY) < REFRESH_MS) return false;
    refreshed.set(secret, now);
    return true;
  }

  function openServer(): Server {
    const server = createServer({ maxHeaderSize: LARGEST_HEAD, insecureHTTPParser: false, requestTimeout: 0, keepAliveTimeout: 0 });
    server.maxHeadersCount = MOST_HEADERS;
    // `printf … | nc` ends its half after the request and waits for the answer; Node.js would break off what it asked for.
    Object.assign(server, { httpAllowHalfOpen: true });
    server.on("request", onRequest);
    server.on("checkContinue", (request: IncomingMessage, response: ServerResponse) => {
      response.writeContinue();
      onRequest(request, response);
    });
    server.on("connect", (_request: IncomingMessage, socket: Duplex) => breakOff(socket, "it asks for a tunnel"));
    server.on("clientError", (error: Error, socket: Duplex) => breakOff(socket, codeOf(error)));
    return server;
  }

  upgrading.on("upgrade", (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    const origin = originOf(request.socket);
    idle.get(request.socket)?.stop();
    const verdict = decide(headOf(request), origin);
    if (verdict.kind !== "allowed") return void socket.end(encodeRefusal(verdict.refusal));
    openWebSocket({ request, socket, head, origin, target: verdict.target, rule: verdict.rule, upstream, book });
  });

  function onRequest(request: IncomingMessage, response: ServerResponse): void {
    const origin = originOf(request.socket);
    idle.get(request.socket)?.stop();
    response.once("close", () => idle.get(request.socket)?.start());
    const verdict = decide(headOf(request), origin);
    if (verdict.kind !== "allowed") {
      refuse(response, verdict.refusal);
      return;
    }
    const use = { host: origin.name, port: origin.port, rule: verdict.rule };
    book.request(use);
    learner?.request(use, { method: request.method ?? "GET", path: verdict.target.replace(/\?.*$/, "") });
    send(request, response, { origin, use, target: verdict.target }).catch((error: unknown) => {
      if (error instanceof NotForwarded) denyRequest(response, use, error.message);
      else if (error instanceof SandboxError) fail(response, use, { kind: "failed", why: error.message });
      else response.destroy();
    });
  }

  async function send(request: IncomingMessage, response: ServerResponse, { origin, use, target }: Sending): Promise<void> {
    const onUsed = (name: string): void => book.secretUsed(name, origin.name);
    const exchange = secrets === undefined ? undefined : openExchange(secrets, request, { host: origin.name, target, onUsed, mayRefresh });
    const headers = outgoingHeaders(request, { mayChangeLength: exchange?.mayChangeLength ?? false });
    const meter = book.meter(use);
    if (!meter.out(headBytes(request.method ?? "", target, headers))) throw new NotForwarded("its bytes are used up");
    await forward(request, response, {
      send: async () =>
        upstream.request(origin, {
          method: request.method ?? "GET",
          path: target,
          headers: (await exchange?.outgoing(headers)) ?? headers,
        }),
      meter,
      outward: exchange?.outward,
      receive: (answer) => {
        const kept = endToEnd(answer.rawHeaders, NOT_FOR_THE_TASK);
        return exchange?.receive(answer, kept) ?? { headers: kept };
      },
      isStale: (answer) => exchange?.isStale(answer) ?? Promise.resolve(false),
      onFailure: (failure) => fail(response, use, failure),
      onRefused: (why) => denyRequest(response, use, why),
    });
  }

  function fail(response: ServerResponse, use: Use, failure: DialFailure): void {
    book.fail(use, failure);
    refuse(response, unreachable(use.host, failure));
  }

  function denyRequest(response: ServerResponse, { host, port, rule }: Use, why: string): void {
    book.deny({ host, port, rule: rule.text, why });
    if (response.headersSent) response.destroy();
    else refuse(response, { status: 403, error: "denied", host, rule: rule.text, why });
  }

  type Decision = Extract<RequestVerdict, { kind: "allowed" }> | { readonly kind: "refused"; readonly refusal: Refusal };

  function decide(head: RequestHead, origin: Origin): Decision {
    const { name, port } = origin;
    const verdict = decideRequest(head, origin);
    if (verdict.kind === "allowed") return withinRate(verdict, origin);
    const rule = verdict.kind === "denied" ? verdict.rule : null;
    book.deny({ host: name, port, rule, why: verdict.why });
    const status = verdict.kind === "denied" ? 403 : 400;
    const allow = rule !== null ? { allow: "a rule whose methods and paths cover it" } : {};
    return { kind: "refused", refusal: { status, error: verdict.kind, host: name, rule, why: verdict.why, ...allow } };
  }

  function withinRate(verdict: Extract<RequestVerdict, { kind: "allowed" }>, { name, port }: Origin): Decision {
    const taken = verdict.rule.rate?.take() ?? { allowed: true as const };
    if (taken.allowed) return verdict;
    const why = "the rule's rate is used up";
    book.deny({ host: name, port, rule: verdict.rule.text, why });
    const refusal = {
      status: 429,
      error: "rate-limit",
      host: name,
      rule: verdict.rule.text,
      why,
      retryAfterMs: taken.retryAfterMs,
    } as const;
    return { kind: "refused", refusal };
  }

  function breakOff(socket: Duplex, why: string): void {
    const origin = origins.get(socket);
    if (socket.destroyed) return;
    if (origin !== undefined && why !== "") book.deny({ host: origin.name, port: origin.port, rule: null, why });
    if (!socket.writable || why === "") return void socket.destroy();
    socket.end(encodeRefusal({ status: 400, error: "malformed", host: origin?.name ?? "", rule: null, why }), () => socket.destroy());
  }

  function originOf(socket: Duplex): Origin {
    const origin = origins.get(socket);
    if (origin === undefined) throw new Error("A request of an unknown connection.");
    return origin;
  }

  return {
    accept(connection, origin) {
      origins.set(connection, origin);
      connection.on("error", () => connection.destroy());
      idle.set(connection, createIdleTimer(connection));
      const wantsUpgrade = origin.rules.some(({ upgrade }) => upgrade.length > 0);
      (wantsUpgrade ? upgrading : plain).emit("connection", connection);
      connection.resume();
    },
    close: () => upstream.close(),
  };
}

function headOf({ method = "", url = "", rawHeaders }: IncomingMessage): RequestHead {
  const protocols = valuesOf(rawHeaders, "upgrade").flatMap((value) =>
    value
      .toLowerCase()
      .split(",")
      .map((name) => name.trim()),
  );
  return { method, target: url, rawHeaders, upgrade: protocols.includes("websocket") };
}

function unreachable(host: string, { kind, why }: DialFailure): Refusal {
  if (kind === "address-denied") return { status: 403, error: "denied", host, rule: null, why };
  if (kind === "timed-out") return { status: 504, error: "timed-out", host, rule: null, why };
  return { status: 502, error: "unreachable", host, rule: null, why };
}

/** The parser's own word; a connection that just ended between two requests is nothing to tell of. */
function codeOf(error: Error): string {
  const code = "code" in error ? String(error.code) : "";
  if (code === "ECONNRESET" || code === "HPE_INVALID_EOF_STATE") return "";
  return `its HTTP can't be read: ${code === "" ? error.message : code}`;
}

/** Ends a connection on which nothing is under way for long. */
function createIdleTimer(connection: Duplex): IdleTimer {
  const expire = (): void => void connection.destroy();
  let timer = setTimeout(expire, IDLE_MS).unref();
  const stop = (): void => clearTimeout(timer);
  connection.once("close", stop);
  return {
    stop,
    start: () => {
      stop();
      if (!connection.destroyed) timer = setTimeout(expire, IDLE_MS).unref();
    },
  };
}
