/** One entry of a tar archive as it is written. */
export type TarEntry = {
  /** Relative, `/` between components. */
  readonly path: string;
  readonly kind: "file" | "directory" | "symlink";
  /** Permission bits. */
  readonly mode: number;
  /** Seconds since the epoch, whole, not negative. */
  readonly mtime: number;
  /** Bytes of content, 0 unless a file. */
  readonly size: number;
  /** Target of a symbolic link. */
  readonly target?: string;
};

export const BLOCK = 512;
/** Two blocks of zeros end an archive. */
export const TAR_END: Readonly<Buffer> = Buffer.alloc(2 * BLOCK);

/** How many zeros follow `size` bytes of content. */
export function paddingOf(size: number): number {
  return (BLOCK - (size % BLOCK)) % BLOCK;
}

/**
 * The header of one entry, owned by user and group 0: a ustar block (POSIX.1-2017, pax), before it a pax `x` header with `path`, `linkpath` and `size`
 * where these do not fit the block. Written by hand because packing thousands of small files with one stream for each takes most of a second.
 */
export function encodeHeader(entry: TarEntry): Buffer {
  const records = [
    fits(nameOf(entry), NAME_SIZE) ? "" : paxRecord("path", entry.path),
    fits(entry.target ?? "", NAME_SIZE) ? "" : paxRecord("linkpath", entry.target ?? ""),
    entry.size <= MAX_OCTAL_SIZE ? "" : paxRecord("size", String(entry.size)),
  ].join("");
  const block = encodeBlock(entry);
  return records === "" ? block : Buffer.concat([encodePax(records), block]);
}

const NAME_SIZE = 100;
const MAX_OCTAL_SIZE = 0o77777777777;
const TYPE_FLAGS = { file: "0", symlink: "2", directory: "5", pax: "x" } as const;

/** An entry, or a pax header that stands before one. */
type Block = Omit<TarEntry, "kind"> & { readonly kind: keyof typeof TYPE_FLAGS };

function nameOf({ kind, path }: Pick<Block, "kind" | "path">): string {
  return kind === "directory" ? `${path}/` : path;
}

/** Names beyond ASCII go into a pax record too: only there POSIX says how they are encoded. */
function fits(name: string, size: number): boolean {
  return name.length <= size && /^[\0-\x7f]*$/.test(name);
}

function encodeBlock(entry: Block): Buffer {
  const block = Buffer.alloc(BLOCK);
  block.write(nameOf(entry), 0, NAME_SIZE, "latin1");
  writeOctal(block, { at: 100, size: 8, value: entry.mode });
  writeOctal(block, { at: 108, size: 8, value: 0 });
  writeOctal(block, { at: 116, size: 8, value: 0 });
  writeOctal(block, { at: 124, size: 12, value: entry.size <= MAX_OCTAL_SIZE ? entry.size : 0 });
  writeOctal(block, { at: 136, size: 12, value: Math.min(entry.mtime, MAX_OCTAL_SIZE) });
  block.write(TYPE_FLAGS[entry.kind], 156, 1, "latin1");
  if (entry.target !== undefined) block.write(entry.target, 157, NAME_SIZE, "latin1");
  block.write("ustar\u000000", 257, 8, "latin1");
  block.write("        ", 148, 8, "latin1");
  let sum = 0;
  for (const byte of block) sum += byte;
  block.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, 8, "latin1");
  return block;
}

function encodePax(records: string): Buffer {
  const content = Buffer.from(records);
  const header = encodeBlock({ path: "PaxHeader", kind: "pax", mode: 0o644, mtime: 0, size: content.length });
  return Buffer.concat([header, content, Buffer.alloc(paddingOf(content.length))]);
}

/** `<length> <key>=<value>` and a line feed; the length counts its own digits. */
function paxRecord(key: string, value: string): string {
  const rest = Buffer.byteLength(` ${key}=${value}\n`);
  let length = rest + 1;
  while (length !== rest + String(length).length) length = rest + String(length).length;
  return `${length} ${key}=${value}\n`;
}

function writeOctal(block: Buffer, field: { readonly at: number; readonly size: number; readonly value: number }): void {
  block.write(field.value.toString(8).padStart(field.size - 1, "0"), field.at, field.size - 1, "latin1");
}
