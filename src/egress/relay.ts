import { Socket } from "node:net";
import type { Duplex, Readable, Writable } from "node:stream";
import { TLSSocket } from "node:tls";

/** Counts bytes before they go on; `false` stops the connection, and those bytes go nowhere. */
export type Meter = { readonly out: (bytes: number) => boolean; readonly in: (bytes: number) => boolean };

/** `head` is all that the task had to say where its half has ended already. */
export type Relaying = { readonly meter: Meter; readonly head?: Buffer | undefined };

/**
 * Carries bytes between the task and the world until both directions have ended. Each half closes by itself; a reset on one side is a reset on the
 * other.
 */
export function relay(inside: Duplex, outside: Duplex, { meter, head }: Relaying): void {
  inside.on("error", () => breakOff(outside));
  outside.on("error", () => inside.destroy());
  inside.on("close", () => {
    if (!inside.readableEnded || !inside.writableFinished) breakOff(outside);
  });
  outside.on("close", () => {
    if (!outside.readableEnded || !outside.writableFinished) inside.destroy();
  });
  if (head === undefined) pump(inside, outside, meter.out);
  else if (meter.out(head.length)) outside.end(head);
  else inside.destroy();
  pump(outside, inside, meter.in);
}

/** Tells the origin that this is no orderly end. With TLS, for which Node.js can't reset, the missing `close_notify` says it (RFC 8446 6.1). */
function breakOff(outside: Duplex): void {
  if (outside instanceof Socket && !(outside instanceof TLSSocket)) outside.resetAndDestroy();
  else outside.destroy();
}

/** Moves everything from one stream to another, at the pace of the slower one, counted before it goes on; the end goes on too. */
export function pump(from: Readable, to: Writable, count: (bytes: number) => boolean): void {
  from.on("data", (chunk: Buffer) => {
    if (!count(chunk.length)) from.destroy();
    else if (!to.write(chunk)) from.pause();
  });
  to.on("drain", () => from.resume());
  from.on("end", () => to.end());
  from.resume();
}
