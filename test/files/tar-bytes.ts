/** Archives byte by byte, so that they can be wrong in any way. */
export type RawHeader = {
  readonly name?: string | Buffer;
  readonly type?: string;
  readonly size?: number;
  /** The twelve bytes of the size field instead of `size` in octal. */
  readonly sizeField?: Buffer;
  readonly mode?: number;
  readonly target?: string;
  readonly prefix?: string;
  readonly magic?: string;
  readonly checksum?: number;
};

export const END = Buffer.alloc(1024);

/** One ustar header with a right checksum unless another is given. */
export function header(raw: RawHeader): Buffer {
  const block = Buffer.alloc(512);
  block.set(Buffer.from(raw.name ?? "file").subarray(0, 100));
  block.write(octal(raw.mode ?? 0o644, 7), 100);
  block.write(octal(0, 7), 108);
  block.write(octal(0, 7), 116);
  if (raw.sizeField === undefined) block.write(octal(raw.size ?? 0, 11), 124);
  else block.set(raw.sizeField, 124);
  block.write(octal(1_700_000_000, 11), 136);
  block.write(raw.type ?? "0", 156);
  block.write(raw.target ?? "", 157, 100);
  block.write(raw.magic ?? "ustar\u000000", 257, "latin1");
  block.write(raw.prefix ?? "", 345, 155);
  block.fill(0x20, 148, 156);
  block.write(`${octal(raw.checksum ?? block.reduce((sum, byte) => sum + byte, 0), 6)}\0 `, 148, "latin1");
  return block;
}

/** Content with the zeros behind it. */
function padded(content: string | Buffer): Buffer {
  const bytes = Buffer.from(content);
  return Buffer.concat([bytes, Buffer.alloc((512 - (bytes.length % 512)) % 512)]);
}

export function file(name: string | Buffer, content: string | Buffer = "content", more: RawHeader = {}): Buffer {
  return Buffer.concat([header({ name, size: Buffer.byteLength(content), ...more }), padded(content)]);
}

export function directory(name: string, more: RawHeader = {}): Buffer {
  return header({ name: `${name}/`, type: "5", mode: 0o755, ...more });
}

export function symlink(name: string, target: string, more: RawHeader = {}): Buffer {
  return header({ name, type: "2", mode: 0o777, target, ...more });
}

/** A pax header of records written as `key=value`, or of any bytes. */
export function pax(content: readonly string[] | Buffer, more: RawHeader = {}): Buffer {
  const bytes = Buffer.isBuffer(content) ? content : Buffer.from(content.map(paxRecord).join(""));
  return Buffer.concat([header({ name: "PaxHeader", type: "x", size: bytes.length, ...more }), padded(bytes)]);
}

/** A file whose name is in a pax header, where any name fits. */
export function paxFile(name: string, content = "content"): Buffer {
  return Buffer.concat([pax([`path=${name}`]), file("short", content)]);
}

export function archive(...parts: readonly Buffer[]): Buffer {
  return Buffer.concat([...parts, END]);
}

function paxRecord(record: string): string {
  const rest = Buffer.byteLength(record) + 2;
  const length = [1, 2, 3, 4, 5].map((digits) => rest + digits).find((total) => String(total).length === total - rest) ?? 0;
  return `${length} ${record}\n`;
}

function octal(value: number, digits: number): string {
  return value.toString(8).padStart(digits, "0");
}
