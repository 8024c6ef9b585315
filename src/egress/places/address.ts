import { isIPv4, isIPv6 } from "node:net";
import { ADDRESS_BLOCKS, type AddressClass } from "./address-blocks.ts";

export type { AddressClass };

/**
 * The class of an address as a resolver writes it: IPv4 as four decimal numbers, IPv6 by RFC 5952, with the last 32 bits as IPv4 or not where
 * they stand for that. Anything else is `invalid`, also what other readers would take for an address: zones, octal and hexadecimal numbers,
 * short forms, capitals, groups that are not compressed.
 */
export function classifyAddress(text: string): AddressClass {
  const bytes = readAddress(text);
  if (bytes === undefined || !isCanonical(text, bytes)) return "invalid";
  return blocks().find(({ prefix, bits }) => isWithin(bytes, prefix, bits))?.meaning ?? "invalid";
}

/** An address in the one form to compare and print: IPv6 by RFC 5952, IPv4-mapped with a dotted end (its section 5). `undefined` for anything that is no address, or has a zone. */
export function canonicalAddress(text: string): string | undefined {
  const bytes = readAddress(text);
  if (bytes === undefined) return undefined;
  if (bytes.length === 4) return bytes.join(".");
  return isWithin(bytes, MAPPED, 96) ? writeMixed(bytes) : writeGroups(bytes);
}

type Bytes = readonly number[];
type Block = { readonly prefix: Bytes; readonly bits: number; readonly meaning: AddressClass };

const MAPPED: Bytes = [...Array<number>(10).fill(0), 0xff, 0xff, 0, 0, 0, 0];

let known: readonly Block[] | undefined;

function blocks(): readonly Block[] {
  known ??= ADDRESS_BLOCKS.map(([block, meaning]) => {
    const [address = "", bits] = block.split("/");
    return { prefix: readAddress(address) ?? [], bits: Number(bits), meaning };
  });
  return known;
}

/** The 4 or 16 bytes of an address without a zone. */
function readAddress(text: string): Bytes | undefined {
  if (isIPv4(text)) return text.split(".").map(Number);
  if (!isIPv6(text) || text.includes("%")) return undefined;
  const [head = "", tail] = text.split("::");
  const before = readGroups(head);
  const after = readGroups(tail ?? "");
  return [...before, ...Array<number>(16 - before.length - after.length).fill(0), ...after];
}

function readGroups(text: string): Bytes {
  if (text === "") return [];
  return text.split(":").flatMap((group) => {
    if (group.includes(".")) return group.split(".").map(Number);
    const value = Number.parseInt(group, 16);
    return [value >> 8, value & 0xff];
  });
}

function isWithin(bytes: Bytes, prefix: Bytes, bits: number): boolean {
  if (bytes.length !== prefix.length) return false;
  return prefix.every((byte, index) => {
    const left = Math.min(8, Math.max(0, bits - index * 8));
    return (byte ^ (bytes[index] ?? 0)) >> (8 - left) === 0;
  });
}

function isCanonical(text: string, bytes: Bytes): boolean {
  if (bytes.length === 4) return text === bytes.join(".");
  if (text === writeGroups(bytes)) return true;
  const holdsIpv4 = ["mapped", "nat64"].some((meaning) =>
    blocks().some((block) => block.meaning === meaning && block.bits === 96 && isWithin(bytes, block.prefix, block.bits)),
  );
  return holdsIpv4 && text === writeMixed(bytes);
}

/** RFC 5952 4: small letters, no leading zeros, `::` for the first of the longest runs of at least two zero groups. */
function writeGroups(bytes: Bytes): string {
  const groups = Array.from({ length: bytes.length / 2 }, (_, at) => (((bytes[at * 2] ?? 0) << 8) | (bytes[at * 2 + 1] ?? 0)).toString(16));
  const { start, length } = longestZeros(groups);
  if (length < 2) return groups.join(":");
  return `${groups.slice(0, start).join(":")}::${groups.slice(start + length).join(":")}`;
}

function longestZeros(groups: readonly string[]): { readonly start: number; readonly length: number } {
  let longest = { start: 0, length: 0 };
  let length = 0;
  for (const [at, group] of groups.entries()) {
    length = group === "0" ? length + 1 : 0;
    if (length > longest.length) longest = { start: at + 1 - length, length };
  }
  return longest;
}

/** The first six groups by RFC 5952, then the rest as IPv4. */
function writeMixed(bytes: Bytes): string {
  const head = writeGroups(bytes.slice(0, 12));
  return `${head}${head.endsWith(":") ? "" : ":"}${bytes.slice(12).join(".")}`;
}
