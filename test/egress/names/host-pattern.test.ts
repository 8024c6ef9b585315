import { describe, expect, it } from "vitest";
import { isHostMatch, parseHostPattern } from "../../../src/egress/names/host-pattern.ts";
import { fuzzRuns } from "../../lab/fuzz-runs.ts";
import { fc } from "../../lab/property.ts";
import tables from "../tables/host-patterns.json" with { type: "json" };

const refused = tables.patterns.filter(({ expected }) => expected === null);
const taken = tables.patterns.filter(({ expected }) => expected !== null);

const hostName = fc.domain().filter((name) => name.length <= 200);
const label = fc.constantFrom("a", "b", "aa", "ab", "x-y", "com");
const labels = (minLength: number) => fc.array(label, { minLength, maxLength: 4 }).map((parts) => parts.join("."));

/** What the patterns mean, label by label. */
function isMeant(pattern: string, name: string): boolean {
  const wanted = pattern.split(".");
  const given = name.split(".");
  if (wanted[0] === "*") return given.length === wanted.length && wanted.slice(1).every((part, at) => part === given[at + 1]);
  if (wanted[0] === "**") {
    const more = given.length - wanted.length + 1;
    return more >= 1 && wanted.slice(1).every((part, at) => part === given[at + more]);
  }
  return given.length === wanted.length && wanted.every((part, at) => part === given[at]);
}

describe("parseHostPattern", () => {
  it.each(refused)("refuses $input: $why", async ({ input }) => {
    await expect(parseHostPattern(input)).rejects.toThrow(
      expect.objectContaining({
        code: "BAD_RULE",
        exitStatus: 64,
        message: expect.stringMatching(/^The rule "/),
        hint: expect.stringMatching(/\.$/),
      }),
    );
  });

  it.each(taken)("reads $input: $why", async ({ input, expected }) => {
    const pattern = await parseHostPattern(input);
    expect(pattern).toEqual({ ...expected, text: expect.any(String) });
    expect(Object.isFrozen(pattern)).toBe(true);
    expect(await parseHostPattern(pattern.text)).toEqual(pattern);
  });

  it("tells how to reach an address or this machine", async () => {
    for (const text of ["10.0.0.1", "[::1]:443", "127.1", "1.2.3.4:80", "*.2.3.4"])
      await expect(parseHostPattern(text)).rejects.toThrow(expect.objectContaining({ hint: expect.stringContaining("name=ADDR:PORT") }));
    await expect(parseHostPattern("a.localhost")).rejects.toThrow(
      expect.objectContaining({ hint: expect.stringContaining("name=127.0.0.1:PORT") }),
    );
  });
});

describe("isHostMatch", () => {
  it.each(tables.matches)("$pattern and $name: $expected, $why", async ({ pattern, name, expected }) => {
    expect(isHostMatch(await parseHostPattern(pattern), name)).toBe(expected);
  });

  it("agrees with reading label by label", async () => {
    let matches = 0;
    await fc.assert(
      fc.asyncProperty(fc.constantFrom("", "*.", "**."), labels(1), labels(0), async (wildcard, suffix, more) => {
        const text = `${wildcard}${suffix}.example.com`;
        const pattern = await parseHostPattern(text);
        for (const name of [
          `${more}.${suffix}.example.com`.replace(/^\./, ""),
          `${more}${suffix}.example.com`,
          `${suffix}.example.com.${more}x`,
        ]) {
          if (isMeant(text, name)) matches += 1;
          expect(`${text} ${name} ${isHostMatch(pattern, name)}`).toBe(`${text} ${name} ${isMeant(text, name)}`);
        }
      }),
      { numRuns: fuzzRuns(2000) },
    );
    expect(matches).toBeGreaterThan(500);
  });

  it("never matches a name that ends in anything but the suffix, at a dot", async () => {
    await fc.assert(
      fc.asyncProperty(fc.constantFrom("", "*.", "**."), hostName, hostName, async (wildcard, own, other) => {
        const pattern = await parseHostPattern(`${wildcard}own.${own}`.toLowerCase());
        for (const name of [other, `${other}.${pattern.suffix}`, `${other}${pattern.suffix}`, `${pattern.suffix}.${other}`])
          if (isHostMatch(pattern, name)) expect(name === pattern.suffix || name.endsWith(`.${pattern.suffix}`)).toBe(true);
        expect(isHostMatch(pattern, `not${pattern.suffix}`)).toBe(false);
        expect(isHostMatch(pattern, `${pattern.suffix}.evil.com`)).toBe(false);
        expect(isHostMatch(pattern, pattern.suffix)).toBe(pattern.kind === "exact");
      }),
      { numRuns: fuzzRuns(1000) },
    );
  });
});
