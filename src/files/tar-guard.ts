import { hasRightChecksum, readNumber, readPaxRecords, readText } from "./tar-field.ts";
import { BLOCK, paddingOf } from "./tar-header.ts";

/** One entry as the guard read it. `path` and `target` are as they stand in the archive: judge them before use. */
export type GuardedEntry = {
  readonly path: string;
  readonly kind: "file" | "directory" | "symlink" | "device" | "pipe";
  /** Bytes of content that follow, 0 for all but files. */
  readonly size: number;
  /** Permission bits with setuid, setgid and sticky, as announced. */
  readonly mode: number;
  readonly target: string;
};

export type ArchiveLimits = {
  /** Most bytes of all files together, as announced. */
  readonly maxBytes: number;
  readonly maxEntries: number;
};

/** The archive is not what was agreed; nothing behind `offset` can be trusted. */
export class ArchiveViolation extends Error {
  override readonly name = "ArchiveViolation";
  /** Bytes from the beginning of the archive. */
  readonly offset: number;

  constructor(sentence: string, offset: number) {
    super(`${sentence} (at byte ${offset} of the archive)`);
    this.offset = offset;
  }
}

/**
 * Passes a tar archive on as far as it is one that a well-behaved guest sends: ustar headers of regular files, directories, symbolic links, devices and
 * FIFOs with a right checksum, before each at most one pax `x` header with `path` and `linkpath`, two zero blocks, nothing more. `onEntry` is told
 * of each entry before its bytes are passed on. No header is passed on before it was judged, and at most one header is held. Throws `ArchiveViolation`.
 */
export async function* guardTar(
  source: AsyncIterable<Uint8Array>,
  limits: ArchiveLimits,
  onEntry: (entry: GuardedEntry) => void,
): AsyncGenerator<Uint8Array> {
  const guard = createGuard(limits, onEntry);
  for await (const chunk of source) {
    for (let at = 0; at < chunk.length; ) {
      const { taken, passed } = guard.take(chunk.subarray(at));
      at += taken;
      if (passed !== undefined) yield passed;
    }
  }
  guard.end();
}

const MAX_PAX = 8192;
const MAX_PATH = 4096;
const MAX_DEPTH = 256;
/** Of all names together: they are kept to find those that occur twice. */
const MAX_NAMES = 64 * 1024 * 1024;
const KINDS = new Map<string, GuardedEntry["kind"]>([
  ["0", "file"],
  ["2", "symlink"],
  ["3", "device"],
  ["4", "device"],
  ["5", "directory"],
  ["6", "pipe"],
]);

type Expected = "header" | "content" | "pax" | "nothing";
type Names = { readonly path: string | undefined; readonly target: string | undefined };
type Step = { readonly taken: number; readonly passed: Uint8Array | undefined };

function createGuard(limits: ArchiveLimits, onEntry: (entry: GuardedEntry) => void) {
  let expected: Expected = "header";
  let held = Buffer.alloc(BLOCK);
  let filled = 0;
  let contentLeft = 0;
  let paxSize = 0;
  let pax: Names | undefined;
  let zeroBlocks = 0;
  let offset = 0;
  let entries = 0;
  let bytes = 0;
  let names = 0;

  function fail(sentence: string): never {
    throw new ArchiveViolation(sentence, offset);
  }

  function hold(size: number): void {
    held = Buffer.alloc(size);
    filled = 0;
  }

  function judgeBlock(block: Buffer): void {
    if (block.every((byte) => byte === 0)) {
      zeroBlocks += 1;
      if (pax !== undefined) fail("it ends behind a pax header");
      if (zeroBlocks === 2) expected = "nothing";
      return;
    }
    if (zeroBlocks > 0) fail("a zero block stands between entries");
    if (block.toString("latin1", 257, 265) !== "ustar\u000000") fail("a header is not a ustar header");
    if (!hasRightChecksum(block)) fail("a header has a wrong checksum");
    const size = readNumber(block.subarray(124, 136)) ?? fail("a size is not a number from 0 to 2^53 - 1");
    const type = block.toString("latin1", 156, 157);
    if (type === "x") expectPax(size);
    else expectEntry(block, type, size);
  }

  function expectPax(size: number): void {
    if (pax !== undefined) fail("a pax header follows a pax header");
    if (size === 0 || size > MAX_PAX) fail(`a pax header has ${size} bytes, 1 to ${MAX_PAX} are allowed`);
    paxSize = size;
    hold(size + paddingOf(size));
    expected = "pax";
  }

  function judgePax(content: Buffer): void {
    const records = readPaxRecords(content.subarray(0, paxSize)) ?? fail("a pax header is malformed");
    for (const [key, value] of records) {
      if (key !== "path" && key !== "linkpath") fail(`a pax header has the record ${JSON.stringify(key)}`);
      if (value === "") fail("a pax header has an empty record");
    }
    pax = { path: records.get("path"), target: records.get("linkpath") };
    expected = "header";
    hold(BLOCK);
  }

  function expectEntry(block: Buffer, type: string, size: number): void {
    const kind = KINDS.get(type) ?? fail(`an entry has the type ${JSON.stringify(type)}`);
    const mode = readNumber(block.subarray(100, 108)) ?? fail("a mode is not a number");
    const path = pax?.path ?? ustarPath(block) ?? fail("a name goes on behind its end");
    const target = pax?.target ?? readText(block.subarray(157, 257)) ?? fail("a link target goes on behind its end");
    pax = undefined;
    count({ path, target, size });
    if (kind !== "file" && size > 0) fail("something that is not a file has content");
    onEntry({ path, kind, size, mode, target });
    contentLeft = size + paddingOf(size);
    if (contentLeft > 0) expected = "content";
  }

  function count({ path, target, size }: { readonly path: string; readonly target: string; readonly size: number }): void {
    entries += 1;
    bytes += size;
    names += path.length + target.length;
    if (entries > limits.maxEntries) fail(`it has more than ${limits.maxEntries} entries`);
    if (names > MAX_NAMES) fail(`its names have more than ${MAX_NAMES} bytes`);
    if (Buffer.byteLength(path) > MAX_PATH) fail(`a name is longer than ${MAX_PATH} bytes`);
    if (path.split("/").length > MAX_DEPTH) fail(`a name is deeper than ${MAX_DEPTH} levels`);
    if (bytes > limits.maxBytes)
      fail(`${JSON.stringify(path)} announces ${size} bytes, and more than ${limits.maxBytes} in all are not taken`);
  }

  function takeHeld(chunk: Uint8Array): Step {
    const piece = chunk.subarray(0, held.length - filled);
    held.set(piece, filled);
    filled += piece.length;
    if (filled < held.length) return { taken: piece.length, passed: undefined };
    const whole = held;
    if (expected === "pax") judgePax(whole);
    else {
      hold(BLOCK);
      judgeBlock(whole);
    }
    return { taken: piece.length, passed: whole };
  }

  function takeContent(chunk: Uint8Array): Step {
    const piece = chunk.subarray(0, contentLeft);
    contentLeft -= piece.length;
    if (contentLeft === 0) expected = "header";
    return { taken: piece.length, passed: piece };
  }

  return {
    take(chunk: Uint8Array): Step {
      if (expected === "nothing") fail("it goes on behind its end");
      const step = expected === "content" ? takeContent(chunk) : takeHeld(chunk);
      offset += step.taken;
      return step;
    },
    end(): void {
      if (expected !== "nothing") fail("it ends early");
    },
  };
}

function ustarPath(block: Buffer): string | undefined {
  const name = readText(block.subarray(0, 100));
  const prefix = readText(block.subarray(345, 500));
  if (name === undefined || prefix === undefined) return undefined;
  return prefix === "" ? name : `${prefix}/${name}`;
}
