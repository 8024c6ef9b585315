import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import type { Book } from "../accounts/book.ts";
import type { Learner } from "../learner.ts";
import { encodeRefusal, refuse } from "../refusal.ts";
import type { Secrets } from "../secrets/secret.ts";
import { createIdleTimer, type IdleTimer } from "./idle-timer.ts";
import { judgeRequest, judgeUpgrade } from "./judge-request.ts";
import { passOn } from "./pass-on.ts";
import type { Origin } from "./request.ts";
import { createExchanges } from "./secret-exchange.ts";
import type { Upstream } from "./upstream.ts";
import { openWebSocket } from "./web-socket.ts";

export type HttpGate = {
  /** Serves the requests of one connection, each judged by itself, until it ends. */
  accept(connection: Duplex, origin: Origin): void;
  close(): void;
};

export type HttpGateOptions = {
  readonly upstream: Upstream;
  readonly book: Book;
  readonly secrets: Secrets | undefined;
  readonly learner: Learner | undefined;
};

/** One connection of the task, and the answers that it waits for. */
type Visit = { readonly origin: Origin; readonly idle: IdleTimer; readonly underWay: Set<ServerResponse> };

const LARGEST_HEAD = 64 * 1024;
const MOST_HEADERS = 500;
/** Requests of one connection that were sent without waiting for the answers before (RFC 9112 9.3.2); each takes memory and a connection of its own. */
const MOST_UNDER_WAY = 32;

/** Node.js's own parser reads each request, strictly; what it read is written anew, so that no two readers can differ about it. */
export function createHttpGate({ upstream, book, secrets, learner }: HttpGateOptions): HttpGate {
  const visits = new WeakMap<Duplex, Visit>();
  const onUsed = (name: string, host: string): void => book.secretUsed(name, host);
  const exchanges = secrets === undefined ? undefined : createExchanges(secrets, { onUsed, now: () => performance.now() });
  const plain = openServer();
  /** With a listener for it, Node.js takes every request with `Upgrade` out of HTTP, also those that go on without. */
  const upgrading = openServer();
  upgrading.on("upgrade", onUpgrade);

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

  function onRequest(request: IncomingMessage, response: ServerResponse): void {
    const { origin, idle, underWay } = visitOf(request.socket);
    if (request.socket.destroyed) return;
    if (underWay.size >= MOST_UNDER_WAY) return void cut(request.socket, `it has more than ${MOST_UNDER_WAY} requests under way`);
    idle.stop();
    underWay.add(response);
    response.once("close", () => {
      underWay.delete(response);
      if (underWay.size === 0) idle.start();
    });
    const judged = judgeRequest(request, origin, book);
    if (judged.kind === "refused") return void refuse(response, judged.refusal);
    const use = { host: origin.name, port: origin.port, rule: judged.rule };
    book.request(use);
    learner?.request(use, { method: request.method ?? "GET", path: judged.target.replace(/\?.*$/, "") });
    void passOn(request, response, { origin, use, target: judged.target, upstream, book, exchanges });
  }

  function onUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const { origin, idle, underWay } = visitOf(request.socket);
    if (underWay.size > 0) return void cut(socket, "it asks for a WebSocket before its earlier requests are answered");
    idle.stop();
    const judged = judgeUpgrade(request, origin, book);
    if (judged.kind === "refused") return void socket.end(encodeRefusal(judged.refusal));
    const use = { host: origin.name, port: origin.port, rule: judged.rule };
    book.request(use);
    void openWebSocket({ request, socket, head, origin, use, target: judged.target, upstream, book, exchanges });
  }

  /** Nothing can be said in turn to what was sent out of turn. */
  function cut(connection: Duplex, why: string): void {
    const { name, port } = visitOf(connection).origin;
    book.deny({ host: name, port, rule: null, why });
    connection.destroy();
  }

  function breakOff(socket: Duplex, why: string): void {
    const origin = visits.get(socket)?.origin;
    if (socket.destroyed) return;
    if (origin !== undefined && why !== "") book.deny({ host: origin.name, port: origin.port, rule: null, why });
    if (!socket.writable || why === "") return void socket.destroy();
    socket.end(encodeRefusal({ status: 400, error: "malformed", host: origin?.name ?? "", rule: null, why }), () => socket.destroy());
  }

  function visitOf(socket: Duplex): Visit {
    const visit = visits.get(socket);
    if (visit === undefined) throw new Error("A request of an unknown connection.");
    return visit;
  }

  return {
    accept(connection, origin) {
      const underWay = new Set<ServerResponse>();
      visits.set(connection, { origin, idle: createIdleTimer(connection), underWay });
      connection.on("error", () => connection.destroy());
      connection.once("close", () => endAll(underWay));
      const wantsUpgrade = origin.rules.some(({ upgrade }) => upgrade.length > 0);
      (wantsUpgrade ? upgrading : plain).emit("connection", connection);
      connection.resume();
    },
    close: () => upstream.close(),
  };
}

/** Node.js tells only the answer whose turn it is that its connection has ended. */
function endAll(underWay: ReadonlySet<ServerResponse>): void {
  for (const response of underWay) response.destroy().emit("close");
}

/** The parser's own word; a connection that just ended between two requests is nothing to tell of. */
function codeOf(error: Error): string {
  const code = "code" in error ? String(error.code) : "";
  if (code === "ECONNRESET" || code === "HPE_INVALID_EOF_STATE") return "";
  return `its HTTP can't be read: ${code === "" ? error.message : code}`;
}
