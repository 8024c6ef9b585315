import { encodeU32, FrameType, MAX_PAYLOAD } from "./frame.ts";
import { violation } from "./violation.ts";

export type Send = (stream: number, type: number, payload?: Buffer) => void;

type Flow = { readonly send: Send; readonly window: number };

const MAX_OUTSTANDING = 2 ** 31 - 1;

/** What the guest may send us on one stream: refuses what was not granted, and grants again what was taken. */
export class InboundCredit {
  readonly #id: number;
  readonly #send: Send;
  readonly #window: number;
  #received = 0;
  #granted: number;

  constructor(id: number, { send, window }: Flow) {
    this.#id = id;
    this.#send = send;
    this.#window = window;
    this.#granted = window;
  }

  /** Counts the bytes of one piece of `DATA`. */
  count(bytes: number): void {
    this.#received += bytes;
    if (this.#received > this.#granted) throw violation(`DATA on stream ${this.#id} beyond its credit`);
  }

  /** Grants what was taken, once it is half a window; `waiting` bytes are here and not taken yet. */
  replenish(waiting: number): void {
    const owed = this.#received - waiting + this.#window - this.#granted;
    if (owed < this.#window / 2) return;
    this.#granted += owed;
    this.#send(this.#id, FrameType.CREDIT, encodeU32(owed));
  }
}

type Pending = { rest: Buffer; readonly done: (error?: Error | null) => void };

/** What we may send the guest on one stream: cuts a chunk into frames, and holds back what has no credit. */
export class OutboundCredit {
  readonly #id: number;
  readonly #send: Send;
  #credit: number;
  #pending: Pending | undefined;
  #refused = false;

  constructor(id: number, { send, window }: Flow) {
    this.#id = id;
    this.#send = send;
    this.#credit = window;
  }

  get refused(): boolean {
    return this.#refused;
  }

  /** Takes `CREDIT`. */
  grant(bytes: number): void {
    this.#credit += bytes;
    if (this.#credit > MAX_OUTSTANDING) throw violation(`credit on stream ${this.#id} beyond ${MAX_OUTSTANDING} bytes`);
    this.#flush();
  }

  /** From now on everything is swallowed. */
  refuse(): void {
    this.#refused = true;
    this.#flush();
  }

  /** Sends one chunk, the next one only after `done`. */
  write(chunk: Buffer, done: (error?: Error | null) => void): void {
    this.#pending = { rest: chunk, done };
    this.#flush();
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
