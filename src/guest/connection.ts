import { Duplex } from "node:stream";
import { InboundCredit, OutboundCredit, type Send } from "./credit.ts";
import { FrameType, frameName, MAX_PAYLOAD } from "./frame.ts";
import { violation } from "./violation.ts";

/** `DATA` bytes that each side may send on a new connection before the first `CREDIT`. */
const CONNECTION_WINDOW = 262_144;

/** How long the task has to read what was written before its connection was closed. */
const LINGER_MS = 5_000;

/** Where the task connected to: an address of its own loopback, which stands for a name. */
export type Target = { readonly address: string; readonly port: number };

/**
 * One TCP connection of the task as a stream of its bytes. Each direction ends by itself; destroying it before that is a reset for the task, as its
 * reset is an error with the code `ECONNRESET` here. Once everything was written and ended, destroying it leaves the task a moment to read it, as closing
 * a socket does. Emits `over` when nothing more can come of it.
 */
export class Connection extends Duplex {
  readonly target: Target;
  readonly #id: number;
  readonly #send: Send;
  readonly #inbound: InboundCredit;
  readonly #outbound: OutboundCredit;
  #guestEnded = false;
  #hostEnded = false;
  #over = false;
  #lingering: NodeJS.Timeout | undefined;

  constructor(id: number, options: { readonly send: Send; readonly target: Target }) {
    super({ allowHalfOpen: true, readableHighWaterMark: MAX_PAYLOAD, writableHighWaterMark: MAX_PAYLOAD });
    const flow = { send: options.send, window: CONNECTION_WINDOW };
    this.#id = id;
    this.#send = options.send;
    this.target = options.target;
    this.#inbound = new InboundCredit(id, flow);
    this.#outbound = new OutboundCredit(id, flow);
  }

  /** Takes one frame of the guest; nothing can follow once it answers `true`. */
  accept(type: number, payload: Buffer): boolean {
    if (type === FrameType.DATA && !this.#guestEnded) {
      this.#inbound.count(payload.length);
      if (this.#lingering === undefined) this.push(payload);
      else this.#inbound.replenish(0);
    } else if (type === FrameType.EOF && !this.#guestEnded && payload.length === 0) {
      this.#guestEnded = true;
      clearTimeout(this.#lingering);
      if (this.#lingering === undefined) this.push(null);
    } else if (type === FrameType.CREDIT && payload.length === 4) {
      this.#outbound.grant(payload.readUInt32BE(0));
    } else if (type === FrameType.RESET && payload.length === 0) {
      this.#over = true;
      clearTimeout(this.#lingering);
      this.destroy(Object.assign(new Error("The task broke the connection off."), { code: "ECONNRESET" }));
    } else throw violation(`${frameName(type)} on a connection`);
    return this.#over || (this.#guestEnded && this.#hostEnded);
  }

  /** The pipe is gone. */
  fail(error: Error): void {
    this.#over = true;
    clearTimeout(this.#lingering);
    this.on("error", () => undefined);
    this.destroy(error);
  }

  override read(size?: number): unknown {
    const piece: unknown = super.read(size);
    if (!this.#guestEnded && !this.#over) this.#inbound.replenish(this.readableLength);
    return piece;
  }

  override _read(): void {}

  override _write(chunk: Buffer, _encoding: BufferEncoding, callback: (error?: Error | null) => void): void {
    this.#outbound.write(chunk, callback);
  }

  override _final(callback: (error?: Error | null) => void): void {
    this.#hostEnded = true;
    this.#send(this.#id, FrameType.EOF);
    if (this.#guestEnded) this.emit("over");
    callback();
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#outbound.refuse();
    const open = !this.#over && !(this.#guestEnded && this.#hostEnded);
    if (open && this.#hostEnded && error === null) this.#lingering = setTimeout(() => this.#reset(), LINGER_MS).unref();
    else if (open) this.#reset();
    else this.emit("over");
    callback(error);
  }

  #reset(): void {
    this.#over = true;
    this.#send(this.#id, FrameType.RESET);
    this.emit("over");
  }
}
