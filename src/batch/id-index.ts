import { createHash } from "node:crypto";

/** 128 bits of SHA-256 stand for an id: 40 bytes of memory each, however long they are, and no two of them are alike in practice. */
const WORDS = 4;

/** Which ids there were, in memory that does not depend on their length. */
export type IdIndex = {
  /** Takes an id with the line that it stands in; answers the line of the same id, if there was one. */
  add(id: string, line: number): number | undefined;
};

export function createIdIndex(): IdIndex {
  let slots = 1024;
  let digests = new Uint32Array(slots * WORDS);
  let lines = new Uint32Array(slots);
  let used = 0;

  /** The slot of a digest: where it is, or the free one where it belongs. */
  function find(digest: Uint32Array): number {
    for (let slot = (digest[0] ?? 0) % slots; ; slot = (slot + 1) % slots) {
      if (lines[slot] === 0) return slot;
      const at = slot * WORDS;
      if (digest.every((word, index) => digests[at + index] === word)) return slot;
    }
  }

  function grow(): void {
    const [oldDigests, oldLines] = [digests, lines];
    slots *= 2;
    digests = new Uint32Array(slots * WORDS);
    lines = new Uint32Array(slots);
    oldLines.forEach((line, slot) => {
      if (line !== 0) put(oldDigests.subarray(slot * WORDS, (slot + 1) * WORDS), line);
    });
  }

  function put(digest: Uint32Array, line: number): number | undefined {
    const slot = find(digest);
    const earlier = lines[slot] ?? 0;
    if (earlier !== 0) return earlier;
    digests.set(digest, slot * WORDS);
    lines[slot] = line;
    return undefined;
  }

  return {
    add(id, line) {
      if (used * 2 >= slots) grow();
      const earlier = put(digestOf(id), line);
      if (earlier === undefined) used += 1;
      return earlier;
    },
  };
}

function digestOf(id: string): Uint32Array {
  const hash = createHash("sha256").update(id).digest();
  return Uint32Array.from({ length: WORDS }, (_, word) => hash.readUInt32LE(word * Uint32Array.BYTES_PER_ELEMENT));
}
