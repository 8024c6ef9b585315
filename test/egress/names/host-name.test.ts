import { domainToASCII } from "node:url";
import { describe, expect, it } from "vitest";
import { isHostName, parseHostName } from "../../../src/egress/names/host-name.ts";
import { fuzzRuns } from "../../lab/fuzz-runs.ts";
import { fc } from "../../lab/property.ts";
import rows from "../tables/host-names.json" with { type: "json" };

const refused = rows.filter(({ expected }) => expected === null);
const taken = rows.filter(({ expected }) => expected !== null);

const hostName = fc.domain().filter((name) => name.length <= 200);

/** Text that is nearly a name: pieces of names, of addresses, of look-alikes and of syntax. */
const nearlyName = fc
  .array(
    fc.oneof(
      fc.constantFrom(
        "com",
        "GitHub",
        ".",
        ".",
        "-",
        "_",
        "xn--",
        "xn--bcher-kva",
        "0x7f",
        "127",
        "1",
        "ü",
        "Σ",
        "ß",
        "ﬁ",
        "\u00ad",
        "\u3002",
      ),
      fc.constantFrom(...Array.from("@#%/\\:?*[] \0\n\t\uff0e\uff61\uff11\u200d\u0301")),
      fc.string({ unit: "binary", maxLength: 3 }),
      fc.string({ unit: fc.constantFrom(...Array.from("abcxyz019-")), maxLength: 30 }),
    ),
    { maxLength: 9 },
  )
  .map((parts) => parts.join(""));

describe("parseHostName", () => {
  it.each(refused)("refuses $input: $why", ({ input }) => {
    expect(() => parseHostName(input)).toThrow(expect.objectContaining({ code: "BAD_HOST_NAME", exitStatus: 64 }));
    expect(isHostName(input)).toBe(false);
  });

  it.each(taken)("reads $input as $expected: $why", ({ input, expected }) => {
    expect(parseHostName(input)).toBe(expected);
    expect(isHostName(input)).toBe(true);
  });

  it("shows what does not show in the name it refuses, and no more of it than a line", () => {
    expect(() => parseHostName("git\u202ehub.com\n")).toThrow(/^The host name "git<U\+202E>hub\.com<U\+000A>" /);
    expect(() => parseHostName("x".repeat(1_000_000))).toThrow(/^.{0,200}$/);
  });

  it("takes no name with a character that means something elsewhere, wherever it stands", () => {
    const strange = fc.constantFrom(...Array.from("@#%/\\:?*[]_ \0\t\n\r\x7f\u3002\uff0e\uff61\uff10\uff19\u200b\u00ad"), "%00", "%2e");
    fc.assert(
      fc.property(hostName, strange, fc.nat(), (name, character, where) => {
        const at = where % (name.length + 1);
        expect(isHostName(name.slice(0, at) + character + name.slice(at))).toBe(false);
      }),
      { numRuns: fuzzRuns(2000) },
    );
  });

  it("gives plain small labels, which it and the URL standard read as themselves", () => {
    let names = 0;
    fc.assert(
      fc.property(nearlyName, (text) => {
        if (!isHostName(text)) return;
        names += 1;
        const name = parseHostName(text);
        expect(parseHostName(name)).toBe(name);
        expect(domainToASCII(name)).toBe(name);
        expect(new URL(`https://${name}/`).hostname).toBe(name);
        expect(name).toMatch(/^(?=.{1,253}$)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*$/);
      }),
      { numRuns: fuzzRuns(20_000) },
    );
    expect(names).toBeGreaterThan(500);
  });

  it("takes no spelling of an address that the URL standard reads", () => {
    const part = fc
      .tuple(fc.nat(255), fc.constantFrom(10, 8, 16))
      .map(([value, base]) => ({ 8: "0", 10: "", 16: "0x" })[base] + value.toString(base));
    fc.assert(
      fc.property(fc.array(part, { minLength: 1, maxLength: 4 }), fc.constantFrom("", "."), (parts, root) => {
        const text = parts.join(".") + root;
        expect(new URL(`https://${text}/`).hostname).toMatch(/^[\d.]+$/);
        expect(isHostName(text)).toBe(false);
      }),
      { numRuns: fuzzRuns(2000) },
    );
  });

  it("takes every name that hosts have", () => {
    fc.assert(
      fc.property(hostName, (name) => {
        expect(parseHostName(`${name.toUpperCase()}.`)).toBe(name.toLowerCase());
      }),
      { numRuns: fuzzRuns(2000) },
    );
  });
});
