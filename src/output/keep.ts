import { isUtf8 } from "node:buffer";
import { createHash } from "node:crypto";
import { incompleteTail } from "./utf8.ts";

/**
 * What is kept of one output stream. `bytes` and `sha256` (hex) cover everything that was written; when `truncated`, `text` or `base64` holds the first
 * and the last half of the limit with a line between them that says how many bytes are missing. `base64` stands where the kept bytes are not UTF-8.
 */
export type Kept = {
  readonly bytes: number;
  readonly sha256: string;
  readonly truncated: boolean;
  readonly label: "untrusted";
} & ({ readonly text: string } | { readonly base64: string });

export type Keeper = {
  /** Takes the next bytes; they are copied, the caller may reuse the buffer. */
  write(chunk: Uint8Array): void;
  /** Ends the stream; call it once. */
  finish(): Kept;
};

/** Counts and digests a stream of any length and keeps at most `limit` bytes of it, half from its beginning and half from its end. */
export function createKeeper(limit: number = 1024 * 1024): Keeper {
  const hash = createHash("sha256");
  const head = createHead(Math.ceil(limit / 2));
  const tail = createTail(Math.floor(limit / 2));
  let bytes = 0;
  return {
    write(chunk) {
      bytes += chunk.length;
      hash.update(chunk);
      const rest = head.take(chunk);
      if (rest.length > 0) tail.take(rest);
    },
    finish() {
      const sha256 = hash.digest("hex");
      const truncated = bytes > limit;
      const kept = truncated ? joinHalves(head.bytes(), tail.bytes(), bytes) : Buffer.concat([head.bytes(), tail.bytes()]);
      return {
        bytes,
        sha256,
        truncated,
        label: "untrusted",
        ...(isUtf8(kept) ? { text: kept.toString("utf8") } : { base64: kept.toString("base64") }),
      };
    },
  };
}

type Part = { take(chunk: Uint8Array): Uint8Array; bytes(): Buffer };

/** The first `capacity` bytes, in room that grows with them; `take` answers what did not fit. */
function createHead(capacity: number): Part {
  let room = Buffer.alloc(Math.min(capacity, 4096));
  let used = 0;
  return {
    take(chunk) {
      if (used === capacity) return chunk;
      const taken = chunk.subarray(0, capacity - used);
      if (used + taken.length > room.length)
        room = Buffer.concat([room], Math.min(capacity, Math.max(room.length * 2, used + taken.length)));
      room.set(taken, used);
      used += taken.length;
      return chunk.subarray(taken.length);
    },
    bytes: () => room.subarray(0, used),
  };
}

/** The last `capacity` bytes, in a ring that grows until it is full. */
function createTail(capacity: number): Part {
  let ring = Buffer.alloc(Math.min(capacity, 4096));
  let used = 0;
  let start = 0;
  return {
    take(chunk) {
      const taken = chunk.subarray(Math.max(0, chunk.length - capacity));
      if (used + taken.length > ring.length && ring.length < capacity) {
        ring = Buffer.concat([ring], Math.min(capacity, Math.max(ring.length * 2, used + taken.length)));
      }
      if (ring.length === 0) return taken;
      const at = (start + used) % ring.length;
      const first = taken.subarray(0, ring.length - at);
      ring.set(first, at);
      ring.set(taken.subarray(first.length), 0);
      const over = Math.max(0, used + taken.length - ring.length);
      start = (start + over) % ring.length;
      used = Math.min(ring.length, used + taken.length);
      return taken;
    },
    bytes: () =>
      Buffer.concat([ring.subarray(start, Math.min(ring.length, start + used)), ring.subarray(0, Math.max(0, start + used - ring.length))]),
  };
}

/** Both halves without a character cut in two at the gap, and the line that stands for the gap. */
function joinHalves(head: Buffer, tail: Buffer, bytes: number): Buffer {
  const first = head.subarray(0, head.length - cutEnd(head));
  const last = tail.subarray(cutStart(tail));
  const missing = bytes - first.length - last.length;
  return Buffer.concat([first, Buffer.from(`\n[… ${missing} bytes left out …]\n`), last]);
}

function cutEnd(bytes: Buffer): number {
  const cut = incompleteTail(bytes);
  return isUtf8(bytes.subarray(0, bytes.length - cut)) ? cut : 0;
}

function cutStart(bytes: Buffer): number {
  const cut = bytes.findIndex((byte) => byte < 0x80 || byte >= 0xc0);
  return cut > 0 && cut <= 3 && isUtf8(bytes.subarray(cut)) ? cut : 0;
}
