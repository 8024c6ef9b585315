import type { ClientRequest, IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { SandboxError } from "../../core/errors.ts";
import type { DialFailure } from "../places/dial.ts";
import { encodeRefusal, type Refusal } from "../refusal.ts";
import { relay } from "../relay.ts";
import { NotForwarded } from "./forward.ts";
import { bookFailure, type PassingOn, type Sending } from "./pass-on.ts";
import { endToEnd, headBytes, NOT_FOR_THE_TASK, pairsOf } from "./request.ts";
import type { Exchange } from "./secret-exchange.ts";
import { UpstreamError } from "./upstream.ts";

export type WebSocketOpening = Sending &
  PassingOn & {
    readonly request: IncomingMessage;
    readonly socket: Duplex;
    /** What the task sent behind its handshake. */
    readonly head: Buffer;
  };

/**
 * Passes a judged WebSocket handshake on (RFC 6455 4), its headers past the secrets as those of any request; once the origin has agreed, both sides talk
 * freely. What goes wrong before is booked, and said to the task. Never rejects.
 */
export async function openWebSocket(opening: WebSocketOpening): Promise<void> {
  const { request, socket, head, exchanges, origin, target, use, book } = opening;
  try {
    const exchange = exchanges?.open(request, { host: origin.name, target });
    const { answer, outside, first } = await shakeHands(await ask(opening, exchange), socket);
    const kept = endToEnd(answer.rawHeaders, NOT_FOR_THE_TASK);
    const { headers } = exchange?.receive(answer, kept) ?? { headers: kept };
    if (outside === undefined) {
      answer.resume();
      await exchange?.isStale(answer);
      throw new UpstreamError({ kind: "failed", why: `it answers ${answer.statusCode ?? 0}` });
    }
    socket.write(`HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n${linesOf(headers)}\r\n`);
    if (first.length > 0) outside.unshift(first);
    if (head.length > 0) socket.unshift(head);
    relay(socket, outside, { meter: book.meter(use) });
  } catch (error) {
    const refusal = error instanceof NotForwarded ? deny(opening, error.message) : bookFailure({ ...opening, failure: failureOf(error) });
    if (socket.writable) socket.end(encodeRefusal(refusal));
  }
}

async function ask({ request, upstream, origin, target, use, book }: WebSocketOpening, exchange?: Exchange): Promise<ClientRequest> {
  // A body would be the first frames to an origin that reads none with a handshake.
  const own = endToEnd(request.rawHeaders, ["content-length"]);
  const upgrade = ["Connection", "Upgrade", "Upgrade", "websocket"];
  if (!book.meter(use).out(headBytes("GET", target, [...own, ...upgrade]))) throw new NotForwarded("its bytes are used up");
  const headers = (await exchange?.outgoing(own)) ?? own;
  return upstream.request(origin, { method: "GET", path: target, headers: [...headers, ...upgrade] });
}

/** `outside` is the connection to an origin that agreed. */
type Shaken = { readonly answer: IncomingMessage; readonly outside?: Duplex; readonly first: Buffer };

function shakeHands(outgoing: ClientRequest, socket: Duplex): Promise<Shaken> {
  const leave = (): void => void outgoing.destroy();
  return new Promise<Shaken>((resolve, reject) => {
    outgoing.on("upgrade", (answer, outside, first) => resolve({ answer, outside, first }));
    outgoing.on("response", (answer) => resolve({ answer, first: Buffer.alloc(0) }));
    outgoing.on("error", reject);
    socket.on("error", leave).on("close", leave);
    if (socket.destroyed) leave();
    outgoing.end();
  }).finally(() => socket.off("close", leave));
}

function deny({ use: { host, port, rule }, book }: WebSocketOpening, why: string): Refusal {
  book.deny({ host, port, rule: rule.text, why });
  return { status: 403, error: "denied", host, rule: rule.text, why };
}

function failureOf(error: unknown): DialFailure {
  if (error instanceof UpstreamError) return error.failure;
  return { kind: "failed", why: error instanceof SandboxError ? error.message : "it ended without an answer" };
}

function linesOf(rawHeaders: readonly string[]): string {
  return pairsOf(rawHeaders)
    .map(([name, value]) => `${name}: ${value}\r\n`)
    .join("");
}
