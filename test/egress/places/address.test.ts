import { isIP } from "node:net";
import { describe, expect, it } from "vitest";
import { canonicalAddress, classifyAddress } from "../../../src/egress/places/address.ts";
import { ADDRESS_BLOCKS } from "../../../src/egress/places/address-blocks.ts";
import { fuzzRuns } from "../../lab/fuzz-runs.ts";
import { fc } from "../../lab/property.ts";
import tables from "../tables/addresses.json" with { type: "json" };

const special = ADDRESS_BLOCKS.filter(([, meaning]) => meaning !== "public");

/** Any address of a block, written as a resolver writes it. */
const addressIn = (block: string) => {
  const [prefix = "", bits = "0"] = block.split("/");
  const [width, fixed] = prefix.includes(":") ? [128, groupsToNumber(prefix)] : [32, octetsToNumber(prefix)];
  const free = width - Number(bits);
  return fc.bigInt({ min: 0n, max: (1n << BigInt(free)) - 1n }).map((rest) => (width === 32 ? octets(fixed | rest) : groups(fixed | rest)));
};

function octetsToNumber(text: string): bigint {
  return text.split(".").reduce((sum, part) => (sum << 8n) | BigInt(part), 0n);
}

function groupsToNumber(text: string): bigint {
  const [head = [], tail = []] = text.split("::").map((half) => half.split(":").filter((group) => group !== ""));
  const parts = [...head, ...Array<string>(8 - head.length - tail.length).fill("0"), ...tail];
  return parts.reduce((sum, part) => (sum << 16n) | BigInt(`0x${part}`), 0n);
}

function octets(value: bigint): string {
  return [24n, 16n, 8n, 0n].map((shift) => (value >> shift) & 0xffn).join(".");
}

/** RFC 5952 as the URL standard writes it. */
function groups(value: bigint): string {
  const full = Array.from({ length: 8 }, (_, at) => ((value >> BigInt(112 - 16 * at)) & 0xffffn).toString(16)).join(":");
  return new URL(`http://[${full}]/`).hostname.slice(1, -1);
}

/** Public IPv4 in the plainest words: by its first numbers. */
function isPublicIpv4(text: string): boolean {
  const [a = 0, b = 0, c = 0] = text.split(".").map(Number);
  if (a === 0 || a === 10 || a === 127 || a >= 224) return false;
  if (a === 100) return b < 64 || b > 127;
  if (a === 169) return b !== 254;
  if (a === 172) return b < 16 || b > 31;
  if (a === 192) return !(b === 168 || (b === 0 && (c === 0 || c === 2)) || [31.196, 52.193, 88.099, 175.048].includes(b + c / 1000));
  if (a === 198) return !(b === 18 || b === 19 || (b === 51 && c === 100));
  return text !== "168.63.129.16" && !(a === 203 && b === 0 && c === 113);
}

describe("classifyAddress", () => {
  it.each(tables.classes)("takes $input for $expected: $why", ({ input, expected }) => {
    expect(classifyAddress(input)).toBe(expected);
  });

  it.each(special)("takes no address in %s (%s) for public", (block) => {
    fc.assert(
      fc.property(addressIn(block), (address) => {
        fc.pre(block !== "::/0" || !/^[23][\da-f]{3}:/.test(address));
        expect(["public", "invalid"]).not.toContain(classifyAddress(address));
      }),
      { numRuns: fuzzRuns(200) },
    );
  });

  it("takes the same IPv4 addresses for public as their first numbers tell", () => {
    const near = fc.tuple(
      fc.constantFrom(0, 10, 100, 127, 168, 169, 172, 192, 198, 203, 223, 224, 255),
      fc.nat(255),
      fc.nat(255),
      fc.nat(255),
    );
    const any = fc.tuple(fc.nat(255), fc.nat(255), fc.nat(255), fc.nat(255));
    fc.assert(
      fc.property(fc.oneof(near, any), (parts) => {
        const address = parts.join(".");
        fc.pre(classifyAddress(address) !== "metadata");
        expect(`${address} ${classifyAddress(address) === "public"}`).toBe(`${address} ${isPublicIpv4(address)}`);
      }),
      { numRuns: fuzzRuns(20_000) },
    );
  });

  it("takes no IPv6 address outside 2000::/3 for public", () => {
    fc.assert(
      fc.property(addressIn("::/0"), (address) => {
        if (classifyAddress(address) === "public") expect(address).toMatch(/^[23][\da-f]{3}:/);
      }),
      { numRuns: fuzzRuns(5000) },
    );
  });

  it("takes only the canonical form of an address for one", () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.ipV4(),
          fc.ipV4Extended(),
          fc.ipV6(),
          fc.string({ unit: fc.constantFrom(...Array.from("0123afF:.%x")), maxLength: 20 }),
        ),
        (text) => {
          if (classifyAddress(text) === "invalid") return;
          expect(isIP(text)).not.toBe(0);
          expect(text).toMatch(/^[\da-f:.]+$/);
          expect(classifyAddress(canonicalAddress(text) ?? "")).toBe(classifyAddress(text));
        },
      ),
      { numRuns: fuzzRuns(5000) },
    );
  });
});

describe("canonicalAddress", () => {
  it.each(tables.canonical)("writes $input as $expected: $why", ({ input, expected }) => {
    expect(canonicalAddress(input) ?? null).toBe(expected);
  });

  it("writes IPv6 as the URL standard does, and again the same", () => {
    fc.assert(
      fc.property(fc.oneof(fc.ipV6(), addressIn("::/0")), (text) => {
        const address = canonicalAddress(text) ?? "";
        expect(canonicalAddress(address)).toBe(address);
        expect(classifyAddress(address)).not.toBe("invalid");
        expect(new URL(`http://[${address}]/`).hostname).toBe(new URL(`http://[${text}]/`).hostname);
        if (!address.includes(".")) expect(`[${address}]`).toBe(new URL(`http://[${text}]/`).hostname);
      }),
      { numRuns: fuzzRuns(5000) },
    );
  });
});
