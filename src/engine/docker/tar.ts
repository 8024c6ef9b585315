/** An entry of the small archives that we send to an engine: a file, or a further name for a file before it. */
export type TarEntry =
  | { readonly name: string; readonly mode: number; readonly content: Buffer }
  | { readonly name: string; readonly linkTo: string };

const BLOCK = 512;
/** Owned by root and as old as the epoch, so that the same content gives the same archive. */
const OWNER = 0;
const TIME = 0;

/** Packs entries into a POSIX ustar archive (IEEE Std 1003.1, "pax": ustar Interchange Format). Names are at most 100 bytes of ASCII. */
export function packTar(entries: readonly TarEntry[]): Buffer {
  return Buffer.concat([...entries.flatMap(packEntry), Buffer.alloc(2 * BLOCK)]);
}

function packEntry(entry: TarEntry): readonly Buffer[] {
  if ("linkTo" in entry) return [header({ name: entry.name, mode: 0o755, size: 0, type: "1", link: entry.linkTo })];
  const padding = Buffer.alloc((BLOCK - (entry.content.length % BLOCK)) % BLOCK);
  return [header({ name: entry.name, mode: entry.mode, size: entry.content.length, type: "0", link: "" }), entry.content, padding];
}

function header({
  name,
  mode,
  size,
  type,
  link,
}: {
  readonly name: string;
  readonly mode: number;
  readonly size: number;
  readonly type: string;
  readonly link: string;
}): Buffer {
  const block = Buffer.alloc(BLOCK);
  block.write(name, 0, 100, "latin1");
  octal(block, mode, { at: 100, width: 8 });
  octal(block, OWNER, { at: 108, width: 8 });
  octal(block, OWNER, { at: 116, width: 8 });
  octal(block, size, { at: 124, width: 12 });
  octal(block, TIME, { at: 136, width: 12 });
  block.fill(" ", 148, 156);
  block.write(type, 156, 1, "latin1");
  block.write(link, 157, 100, "latin1");
  block.write("ustar\0" + "00", 257, 8, "latin1");
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, 8, "latin1");
  return block;
}

function octal(block: Buffer, value: number, { at, width }: { readonly at: number; readonly width: number }): void {
  block.write(`${value.toString(8).padStart(width - 1, "0")}\0`, at, width, "latin1");
}

/** The content of the first regular file of an archive, or `undefined` when there is none. Reads what `packTar` and engines write. */
export function firstTarFile(archive: Buffer): Buffer | undefined {
  for (let at = 0; at + BLOCK <= archive.length; ) {
    const size = Number.parseInt(archive.toString("latin1", at + 124, at + 136).replace(/[\0 ].*$/, ""), 8);
    if (!Number.isSafeInteger(size) || size < 0) return undefined;
    const type = archive[at + 156];
    const start = at + BLOCK;
    if (type === 0x30 || type === 0) return start + size <= archive.length ? archive.subarray(start, start + size) : undefined;
    at = start + Math.ceil(size / BLOCK) * BLOCK;
  }
  return undefined;
}
