import { Readable, Writable } from "node:stream";
import { encodeU32, FrameType, MAX_PAYLOAD } from "./frame.ts";
import { violation } from "./violation.ts";

export type Send = (stream: number, type: number, payload?: Buffer) => void;

const MAX_OUTSTANDING = 2 ** 31 - 1;

/** The receiving half of a stream: grants credit as its reader takes bytes, and refuses what was not granted. */
export class CreditReadable extends Readable {
  readonly #id: number;
  readonly #send: Send;
  readonly #window: number;
  #received = 0;
  #granted: number;
  #stopped = false;
  #ended = false;

  constructor(id: number, options: { readonly send: Send; readonly window: number }) {
    super({ highWaterMark: MAX_PAYLOAD });
    this.#id = id;
    this.#send = options.send;
    this.#window = options.window;
    this.#granted = options.window;
  }

  /** Takes one piece of `DATA`. */
  accept(piece: Buffer): void {
    if (this.#ended) throw violation(`DATA on stream ${this.#id} after EOF`);
    this.#received += piece.length;
    if (this.#received > this.#granted) throw violation(`DATA on stream ${this.#id} beyond its credit`);
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
    this.#replenish();
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

  #replenish(): void {
    const taken = this.#received - this.readableLength;
    const owed = taken + this.#window - this.#granted;
    if (owed < this.#window / 2 || this.#ended || this.#stopped) return;
    this.#granted += owed;
    this.#send(this.#id, FrameType.CREDIT, encodeU32(owed));
  }
}

/** The sending half of a stream: cuts into frames, waits for credit, and ends with `EOF`. */
export class CreditWritable extends Writable {
  readonly #id: number;
  readonly #send: Send;
  #credit: number;
  #refused = false;
  #pending: { rest: Buffer; done: (error?: Error | null) => void } | undefined;

  constructor(id: number, options: { readonly send: Send; readonly window: number }) {
    super({ highWaterMark: options.window });
    this.#id = id;
    this.#send = options.send;
    this.#credit = options.window;
  }

  /** Takes `CREDIT`. */
  grant(bytes: number): void {
    this.#credit += bytes;
    if (this.#credit > MAX_OUTSTANDING) throw violation(`credit on stream ${this.#id} beyond ${MAX_OUTSTANDING} bytes`);
    this.#flush();
  }

  /** Takes `STOP`: what follows is swallowed, as a shell swallows the EPIPE of a command that has read enough. */
  refuse(): void {
    if (this.#refused) return;
    this.#refused = true;
    this.#flush();
    this.emit("refused");
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, callback: (error?: Error | null) => void): void {
    this.#pending = { rest: chunk, done: callback };
    this.#flush();
  }

  override _final(callback: (error?: Error | null) => void): void {
    this.#send(this.#id, FrameType.EOF);
    callback();
  }

  #flush(): void {
    const pending = this.#pending;
    if (pending === undefined) return;
    while (pending.rest.length > 0 && !this.#refused) {
      const length = Math.min(pending.rest.length, this.#credit, MAX_PAYLOAD);
      if (length === 0) return;
      this.#credit -= length;
      this.#send(this.#id, FrameType.DATA, pending.rest.subarray(0, length));
      pending.rest = pending.rest.subarray(length);
    }
    this.#pending = undefined;
    pending.done();
  }
}
