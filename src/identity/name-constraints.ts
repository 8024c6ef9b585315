const SEQUENCE = 0x30;
const PERMITTED = 0xa0;
const EXCLUDED = 0xa1;
const DNS_NAME = 0x82;
const IP_ADDRESS = 0x87;

/** An address and a mask of zeros: every IPv4 and every IPv6 address. */
const ALL_ADDRESSES = [Buffer.alloc(8), Buffer.alloc(32)];

/**
 * The extension `nameConstraints` in DER (RFC 5280, section 4.2.1.10): DNS names that are `names` or below them, and no IP address. The addresses are
 * excluded by name because a list of DNS names says nothing about other kinds of names. Names of other kinds (mail, URI, directory) are not
 * limited: a TLS client looks for its peer in none of them.
 */
export function nameConstraints(names: readonly string[]): Uint8Array<ArrayBuffer> {
  const permitted = names.map((name) => encode(SEQUENCE, encode(DNS_NAME, Buffer.from(name, "ascii"))));
  const excluded = ALL_ADDRESSES.map((range) => encode(SEQUENCE, encode(IP_ADDRESS, range)));
  return Uint8Array.from(encode(SEQUENCE, encode(PERMITTED, ...permitted), encode(EXCLUDED, ...excluded)));
}

/** Tag, length and value (X.690, section 8.1). */
function encode(tag: number, ...values: readonly Buffer[]): Buffer {
  const value = Buffer.concat(values);
  return Buffer.concat([Buffer.from([tag, ...lengthOctets(value.length)]), value]);
}

function lengthOctets(length: number): readonly number[] {
  if (length < 128) return [length];
  const octets: number[] = [];
  for (let rest = length; rest > 0; rest = Math.floor(rest / 256)) octets.unshift(rest % 256);
  return [0x80 | octets.length, ...octets];
}
