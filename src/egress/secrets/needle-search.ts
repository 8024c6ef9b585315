/** A stretch of the stream as it came, or the index of a needle that stood there. */
export type Segment = { readonly kind: "bytes"; readonly bytes: Buffer } | { readonly kind: "found"; readonly needle: number };

export type NeedleSearch = {
  push(chunk: Buffer): readonly Segment[];
  end(): readonly Segment[];
  /** Looks for other strings from now on, also in what is held back. */
  lookFor(needles: readonly Buffer[]): void;
};

/**
 * Finds fixed strings in a stream, however it is cut into chunks: the earliest first, and of two at one place the longer. Held back is only
 * what may be the beginning of a needle, so that an answer that comes in bits is not delayed, and never more than the longest needle.
 * The time grows with the stream's length times the number of needles.
 */
export function createNeedleSearch(first: readonly Buffer[]): NeedleSearch {
  let needles = first;
  let held: Buffer = Buffer.alloc(0);
  const search = (bytes: Buffer, open: readonly number[]): readonly Segment[] => {
    const { segments, rest } = cutAtNeedles(bytes, needles, open);
    held = Buffer.from(rest);
    return segments;
  };
  return {
    push(chunk) {
      const bytes = held.length === 0 ? chunk : Buffer.concat([held, chunk]);
      return search(bytes, openEnds(bytes, needles));
    },
    end: () => search(held, []),
    lookFor: (others) => {
      needles = others;
    },
  };
}

/** Where the bytes end with an incomplete needle, ascending. */
function openEnds(bytes: Buffer, needles: readonly Buffer[]): readonly number[] {
  const starts = new Set<number>();
  for (const needle of needles) {
    const first = needle.subarray(0, 1);
    let at = bytes.indexOf(first, Math.max(0, bytes.length - needle.length + 1));
    while (at !== -1) {
      if (bytes.compare(needle, 0, bytes.length - at, at) === 0) starts.add(at);
      at = bytes.indexOf(first, at + 1);
    }
  }
  return [...starts].sort((a, b) => a - b);
}

/** A needle that begins where a longer or earlier one may still be completed waits, or the result would depend on the chunks. */
function cutAtNeedles(
  bytes: Buffer,
  needles: readonly Buffer[],
  open: readonly number[],
): { readonly segments: readonly Segment[]; readonly rest: Buffer } {
  const cursors = needles.map((needle, index) => ({ needle, index, next: -1 }));
  const segments: Segment[] = [];
  let at = 0;
  let openIndex = 0;
  while (true) {
    while ((open[openIndex] ?? bytes.length) < at) openIndex += 1;
    const limit = open[openIndex] ?? bytes.length;
    const match = earliest(cursors, bytes, at);
    const end = Math.min(match?.next ?? limit, limit);
    if (end > at) segments.push({ kind: "bytes", bytes: bytes.subarray(at, end) });
    if (match === undefined || match.next >= limit) return { segments, rest: bytes.subarray(limit) };
    segments.push({ kind: "found", needle: match.index });
    at = match.next + match.needle.length;
  }
}

type Cursor = { readonly needle: Buffer; readonly index: number; next: number };

function earliest(cursors: readonly Cursor[], bytes: Buffer, from: number): Cursor | undefined {
  let best: Cursor | undefined;
  for (const cursor of cursors) {
    if (cursor.next < from) {
      const found = bytes.indexOf(cursor.needle, from);
      cursor.next = found === -1 ? Number.POSITIVE_INFINITY : found;
    }
    if (cursor.next === Number.POSITIVE_INFINITY) continue;
    const isBetter =
      best === undefined || cursor.next < best.next || (cursor.next === best.next && cursor.needle.length > best.needle.length);
    if (isBetter) best = cursor;
  }
  return best;
}
