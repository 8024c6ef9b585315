import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import type { Book } from "./book.ts";
import { encodeRefusal } from "./refusal.ts";
import { relay } from "./relay.ts";
import { endToEnd, headBytes, type Origin, pairsOf } from "./request.ts";
import type { Rule } from "./rule.ts";
import { type Upstream, UpstreamError } from "./upstream.ts";

export type WebSocketOpening = {
  readonly request: IncomingMessage;
  readonly socket: Duplex;
  readonly head: Buffer;
  readonly origin: Origin;
  readonly target: string;
  readonly rule: Rule;
  readonly upstream: Upstream;
  readonly book: Book;
};

/** Passes a judged WebSocket handshake on (RFC 6455 4); once the origin has agreed, both sides talk freely. */
export function openWebSocket({ request, socket, head, origin, target, rule, upstream, book }: WebSocketOpening): void {
  const use = { host: origin.name, port: origin.port, rule };
  const headers = [...endToEnd(request.rawHeaders), "Connection", "Upgrade", "Upgrade", "websocket"];
  book.request(use);
  if (!book.meter(use).out(headBytes("GET", target, headers))) return void socket.destroy();
  const outgoing = upstream.request(origin, { method: "GET", path: target, headers });
  socket.on("error", () => outgoing.destroy());
  outgoing.on("upgrade", (answer, outside, first) => {
    socket.write(`HTTP/1.1 101 Switching Protocols\r\n${headerLines(answer.rawHeaders)}\r\n`);
    if (first.length > 0) outside.unshift(first);
    if (head.length > 0) socket.unshift(head);
    void relay(socket, outside, { meter: book.meter(use) });
  });
  outgoing.on("response", (answer) => {
    answer.resume();
    socket.end(
      encodeRefusal({ status: 502, error: "unreachable", host: origin.name, rule: null, why: `it answers ${answer.statusCode ?? 0}` }),
    );
  });
  outgoing.on("error", (error) => {
    const failure = error instanceof UpstreamError ? error.failure : ({ kind: "failed", why: "it ended without an answer" } as const);
    book.fail(use, failure);
    if (socket.writable) socket.end(encodeRefusal({ status: 502, error: "unreachable", host: origin.name, rule: null, why: failure.why }));
  });
  outgoing.end();
}

function headerLines(rawHeaders: readonly string[]): string {
  return pairsOf(rawHeaders)
    .map(([name, value]) => `${name}: ${value}\r\n`)
    .join("");
}
