/** Reading the fields of a ustar header (POSIX.1-2017, pax, "ustar Interchange Format") strictly: `undefined` for anything that two readers could take differently. */

/** Octal digits ended by NUL or space, or a non-negative base-256 number as GNU tar writes it; not above 2^53 - 1. */
export function readNumber(field: Uint8Array): number | undefined {
  return field[0] === 0x80 ? readBase256(field) : readOctal(field);
}

/** Text up to the first NUL, behind which only NULs may follow. */
export function readText(field: Buffer): string | undefined {
  const end = field.indexOf(0);
  if (end === -1) return field.toString("utf8");
  return field.subarray(end).every((byte) => byte === 0) ? field.toString("utf8", 0, end) : undefined;
}

/** Whether the header's checksum is that of its bytes: their sum, with the checksum itself taken as spaces. */
export function hasRightChecksum(block: Buffer): boolean {
  let sum = 8 * 0x20;
  for (let at = 0; at < block.length; at += 1) if (at < 148 || at >= 156) sum += block[at] ?? 0;
  return readOctal(block.subarray(148, 156)) === sum;
}

/** The `key=value` records of a pax header, each `<length> <key>=<value>` and a line feed, or `undefined` when they are not exactly that. */
export function readPaxRecords(content: Buffer): ReadonlyMap<string, string> | undefined {
  const records = new Map<string, string>();
  for (let at = 0; at < content.length; ) {
    const match = /^([1-9]\d{0,4}) ([^=\0\n]+)=/.exec(content.toString("latin1", at, at + 64));
    const length = Number(match?.[1] ?? 0);
    const [prefix, , key] = match ?? [];
    const end = at + length;
    if (
      prefix === undefined ||
      key === undefined ||
      records.has(key) ||
      end > content.length ||
      content[end - 1] !== 0x0a ||
      length <= prefix.length
    )
      return undefined;
    const value = content.subarray(at + prefix.length, end - 1);
    if (value.includes(0)) return undefined;
    records.set(key, value.toString("utf8"));
    at = end;
  }
  return records;
}

function readOctal(field: Uint8Array): number | undefined {
  let value = 0;
  let at = 0;
  for (; at < field.length; at += 1) {
    const digit = (field[at] ?? 0) - 0x30;
    if (digit < 0 || digit > 7) break;
    value = value * 8 + digit;
  }
  const rest = field.subarray(at);
  return at > 0 && rest.every((byte) => byte === 0 || byte === 0x20) ? value : undefined;
}

function readBase256(field: Uint8Array): number | undefined {
  let value = 0;
  for (const byte of field.subarray(1)) {
    value = value * 256 + byte;
    if (!Number.isSafeInteger(value)) return undefined;
  }
  return value;
}
