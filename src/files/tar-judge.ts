import { hasRightChecksum, readNumber, readPaxRecords, readText } from "./tar-field.ts";

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

/** What has to follow in an archive: a header, or the so many bytes of a pax header or of content, each with its padding. */
export type Expected =
  | { readonly kind: "header" | "nothing" }
  | { readonly kind: "pax"; readonly size: number }
  | { readonly kind: "content"; readonly size: number };

/** Says what is wrong with the archive, and ends its reading. */
type Fail = (sentence: string) => never;

/** Judges the headers of one archive in their order; each answers what has to follow. */
export type Judge = {
  readonly header: (block: Buffer) => Expected;
  /** Takes the content of a pax header without its padding. */
  readonly pax: (content: Buffer) => Expected;
};

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
const HEADER: Expected = { kind: "header" };

export function createJudge(
  limits: ArchiveLimits,
  { onEntry, fail }: { readonly onEntry: (entry: GuardedEntry) => void; readonly fail: Fail },
): Judge {
  const count = createCount(limits, fail);
  let names: Names | undefined;
  let zeroBlocks = 0;

  function zeroBlock(): Expected {
    zeroBlocks += 1;
    if (names !== undefined) fail("it ends behind a pax header");
    return zeroBlocks === 2 ? { kind: "nothing" } : HEADER;
  }

  return {
    header: (block) => {
      if (block.every((byte) => byte === 0)) return zeroBlock();
      if (zeroBlocks > 0) fail("a zero block stands between entries");
      const { type, size } = readHeader(block, fail);
      if (type === "x") {
        if (names !== undefined) fail("a pax header follows a pax header");
        if (size === 0 || size > MAX_PAX) fail(`a pax header has ${size} bytes, 1 to ${MAX_PAX} are allowed`);
        return { kind: "pax", size };
      }
      const kind = KINDS.get(type) ?? fail(`an entry has the type ${JSON.stringify(type)}`);
      const entry = { kind, size, ...readEntry(block, names, fail) };
      names = undefined;
      count(entry);
      if (kind !== "file" && size > 0) fail("something that is not a file has content");
      onEntry(entry);
      return size > 0 ? { kind: "content", size } : HEADER;
    },
    pax: (content) => {
      names = readNames(content, fail);
      return HEADER;
    },
  };
}

function readHeader(block: Buffer, fail: Fail): { readonly type: string; readonly size: number } {
  if (block.toString("latin1", 257, 265) !== "ustar\u000000") fail("a header is not a ustar header");
  if (!hasRightChecksum(block)) fail("a header has a wrong checksum");
  const size = readNumber(block.subarray(124, 136)) ?? fail("a size is not a number from 0 to 2^53 - 1");
  return { type: block.toString("latin1", 156, 157), size };
}

function readEntry(block: Buffer, names: Names | undefined, fail: Fail): Pick<GuardedEntry, "path" | "mode" | "target"> {
  const mode = readNumber(block.subarray(100, 108)) ?? fail("a mode is not a number");
  const path = names?.path ?? ustarPath(block) ?? fail("a name goes on behind its end");
  const target = names?.target ?? readText(block.subarray(157, 257)) ?? fail("a link target goes on behind its end");
  return { path, mode, target };
}

function ustarPath(block: Buffer): string | undefined {
  const name = readText(block.subarray(0, 100));
  const prefix = readText(block.subarray(345, 500));
  if (name === undefined || prefix === undefined) return undefined;
  return prefix === "" ? name : `${prefix}/${name}`;
}

/** What a pax header says in place of the header behind it. */
type Names = { readonly path: string | undefined; readonly target: string | undefined };

function readNames(content: Buffer, fail: Fail): Names {
  const records = readPaxRecords(content) ?? fail("a pax header is malformed");
  for (const [key, value] of records) {
    if (key !== "path" && key !== "linkpath") fail(`a pax header has the record ${JSON.stringify(key)}`);
    if (value === "") fail("a pax header has an empty record");
  }
  return { path: records.get("path"), target: records.get("linkpath") };
}

/** Holds each entry, and all of them together, to what is taken. */
function createCount(limits: ArchiveLimits, fail: Fail): (entry: GuardedEntry) => void {
  let entries = 0;
  let bytes = 0;
  let names = 0;
  return ({ path, target, size }) => {
    entries += 1;
    bytes += size;
    names += path.length + target.length;
    if (entries > limits.maxEntries) fail(`it has more than ${limits.maxEntries} entries`);
    if (names > MAX_NAMES) fail(`its names have more than ${MAX_NAMES} bytes`);
    if (Buffer.byteLength(path) > MAX_PATH) fail(`a name is longer than ${MAX_PATH} bytes`);
    if (path.split("/").length > MAX_DEPTH) fail(`a name is deeper than ${MAX_DEPTH} levels`);
    if (bytes > limits.maxBytes)
      fail(`${JSON.stringify(path)} announces ${size} bytes, and more than ${limits.maxBytes} in all are not taken`);
  };
}
