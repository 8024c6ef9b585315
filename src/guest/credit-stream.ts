import { Readable, Writable } from "node:stream";
import { InboundCredit, OutboundCredit, type Send } from "./credit.ts";
import { FrameType, MAX_PAYLOAD } from "./frame.ts";
import { violation } from "./violation.ts";

/** The receiving half of a stream: grants credit as its reader takes bytes, and refuses what was not granted. */
export class CreditReadable extends Readable {
  readonly #id: number;
  readonly #send: Send;
  readonly #credit: InboundCredit;
  #stopped = false;
  #ended = false;

  constructor(id: number, options: { readonly send: Send; readonly window: number }) {
    super({ highWaterMark: MAX_PAYLOAD });
    this.#id = id;
    this.#send = options.send;
    this.#credit = new InboundCredit(id, options);
  }

  /** Takes one piece of `DATA`. */
  accept(piece: Buffer): void {
    if (this.#ended) throw violation(`DATA on stream ${this.#id} after EOF`);
    this.#credit.count(piece.length);
    if (!this.#stopped && piece.length > 0) this.push(piece);
  }

  /** Takes `EOF`. */
  acceptEnd(): void {
    if (this.#ended) throw violation(`a second EOF on stream ${this.#id}`);
    this.#ended = true;
    if (!this.#stopped) this.push(null);
  }

  /** `EOF` has arrived. */
  get atEnd(): boolean {
    return this.#ended;
  }

  /** Credit follows every read: a reader that takes a whole window at once leaves nothing under way that could ask for more. */
  override read(size?: number): unknown {
    const piece: unknown = super.read(size);
    if (!this.#ended && !this.#stopped) this.#credit.replenish(this.readableLength);
    return piece;
  }

  /** Nothing to fetch: the guest sends as soon as it has credit. */
  override _read(): void {}

  /** Nobody reads on: the writer inside is told, and what is under way is dropped. */
  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    if (!this.#ended && !this.#stopped) this.#send(this.#id, FrameType.STOP);
    this.#stopped = true;
    callback(error);
  }
}

/** The sending half of a stream: cuts into frames, waits for credit, and ends with `EOF`. */
export class CreditWritable extends Writable {
  readonly #id: number;
  readonly #send: Send;
  readonly #credit: OutboundCredit;

  constructor(id: number, options: { readonly send: Send; readonly window: number }) {
    super({ highWaterMark: options.window });
    this.#id = id;
    this.#send = options.send;
    this.#credit = new OutboundCredit(id, options);
  }

  /** Takes `CREDIT`. */
  grant(bytes: number): void {
    this.#credit.grant(bytes);
  }

  /** Takes `STOP`: what follows is swallowed, as a shell swallows the EPIPE of a command that has read enough. */
  refuse(): void {
    if (this.#credit.refused) return;
    this.#credit.refuse();
    this.emit("refused");
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, callback: (error?: Error | null) => void): void {
    this.#credit.write(chunk, callback);
  }

  override _final(callback: (error?: Error | null) => void): void {
    this.#send(this.#id, FrameType.EOF);
    callback();
  }
}
