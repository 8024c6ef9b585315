/** What a message breaks of its format; caught by the parser that began to read it, and never seen outside. */
export class Malformed extends Error {
  override readonly name = "Malformed";
}

/** Reads big-endian fields one after the other; each throws `Malformed` with the field's name where the bytes do not hold it. */
export type ByteReader = {
  readonly uint8: (what: string) => number;
  readonly uint16: (what: string) => number;
  /** The next `length` bytes, not copied. */
  readonly take: (length: number, what: string) => Buffer;
  /** How many bytes are left. */
  readonly left: () => number;
  /** Throws where bytes are left. */
  readonly end: (what: string) => void;
};

export function createByteReader(bytes: Buffer): ByteReader {
  let at = 0;

  function take(length: number, what: string): Buffer {
    if (length > bytes.length - at) throw new Malformed(`${what} is cut short`);
    at += length;
    return bytes.subarray(at - length, at);
  }

  return {
    uint8: (what) => take(1, what).readUInt8(0),
    uint16: (what) => take(2, what).readUInt16BE(0),
    take,
    left: () => bytes.length - at,
    end: (what) => {
      if (at < bytes.length) throw new Malformed(`bytes follow ${what}`);
    },
  };
}
