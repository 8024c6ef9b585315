import { describe, expect, it } from "vitest";
import { isPathMatch, type PathPattern, parsePathPattern, parseRequestTarget } from "../../../src/egress/http/request-path.ts";
import { fuzzRuns } from "../../lab/fuzz-runs.ts";
import { fc } from "../../lab/property.ts";
import tables from "../tables/request-paths.json" with { type: "json" };

const dangerous = tables.targets.filter(({ expected }) => "refused" in expected);
const plain = tables.targets.filter(({ expected }) => "path" in expected);
const refused = tables.patterns.filter(({ expected }) => expected === null);
const taken = tables.patterns.filter(({ expected }) => expected !== null);

/** Targets of pieces that servers have disagreed about. */
const target = fc
  .array(
    fc.oneof(
      fc.constantFrom(
        "/",
        "/",
        "a",
        ".",
        "..",
        "%2e",
        "%2E",
        "%25",
        "2e",
        "32",
        "65",
        "%32",
        "%65",
        ";",
        "%3b",
        "%2f",
        "%5c",
        "\\",
        "%00",
        "?",
        "#",
      ),
      fc.constantFrom("%", "%20", "%61", "%7e", "~", "*", "%c0%ae", "%c3%a9", "é", " ", "%zz"),
      fc.string({ unit: "grapheme-ascii", maxLength: 3 }),
    ),
    { maxLength: 8 },
  )
  .map((parts) => `/${parts.join("")}`);

describe("parseRequestTarget", () => {
  it.each(dangerous)("refuses $input: $why", ({ input, expected }) => {
    expect(parseRequestTarget(input)).toEqual(expected);
  });

  it.each(plain)("reads $input: $why", ({ input, expected }) => {
    expect(parseRequestTarget(input)).toEqual({ path: expected.path, query: expected.query ?? undefined });
  });

  it("gives paths in which no reader finds a way upwards, however often it decodes", () => {
    let paths = 0;
    fc.assert(
      fc.property(target, (text) => {
        const parsed = parseRequestTarget(text);
        if ("refused" in parsed) return;
        paths += 1;
        for (let decoded = parsed.path, times = 0; times < 4; times += 1) {
          const segments = decoded.slice(1).split("/");
          expect(segments.map((segment) => segment.replace(/;.*/, "").trim())).not.toContain(".");
          expect(segments.map((segment) => segment.replace(/;.*/, "").trim())).not.toContain("..");
          expect(decoded).not.toMatch(/[\\\0-\x1f]|\/\//);
          expect(segments.length).toBe(parsed.path.split("/").length - 1);
          decoded = decoded.replace(/(?:%[\da-f]{2})+/gi, (run) => Buffer.from(run.replaceAll("%", ""), "hex").toString());
        }
      }),
      { numRuns: fuzzRuns(20_000) },
    );
    expect(paths).toBeGreaterThan(1000);
  });

  it("gives what it and the URL standard read as the same path", () => {
    fc.assert(
      fc.property(target, (text) => {
        const parsed = parseRequestTarget(text);
        if ("refused" in parsed) return;
        expect(parseRequestTarget(parsed.path)).toEqual({ path: parsed.path, query: undefined });
        const url = new URL(text, "https://example.com");
        expect(url.host).toBe("example.com");
        expect(parseRequestTarget(url.pathname)).toEqual({ path: parsed.path, query: undefined });
        expect(new URL(parsed.path, "https://example.com").pathname).toBe(parsed.path);
      }),
      { numRuns: fuzzRuns(10_000) },
    );
  });

  it("never throws", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (text) => {
        parseRequestTarget(text);
        parseRequestTarget(`/${text}`);
      }),
    );
  });
});

describe("parsePathPattern", () => {
  it.each(refused)("refuses $input: $why", ({ input }) => {
    expect(() => parsePathPattern(input)).toThrow(
      expect.objectContaining({ code: "BAD_RULE", message: expect.stringMatching(/^The path "/) }),
    );
  });

  it.each(taken)("reads $input: $why", ({ input, expected }) => {
    const pattern = parsePathPattern(input);
    expect(pattern.text).toBe(expected);
    expect(parsePathPattern(pattern.text)).toEqual(pattern);
    expect([pattern, pattern.segments, ...pattern.segments].every(Object.isFrozen)).toBe(true);
  });
});

describe("isPathMatch", () => {
  it.each(tables.matches)("$pattern and $path: $expected, $why", ({ pattern, path, expected }) => {
    expect(isPathMatch(parsePathPattern(pattern), path)).toBe(expected);
  });

  it("agrees with trying every way", () => {
    const name = fc
      .string({ unit: fc.constantFrom("a", "b", "*", "%20"), minLength: 1, maxLength: 4 })
      .filter((part) => !part.includes("**"));
    const wanted = fc.array(fc.oneof(name, fc.constant("**")), { minLength: 1, maxLength: 4 });
    const given = fc.array(fc.string({ unit: fc.constantFrom("a", "b", "%20"), minLength: 1, maxLength: 4 }), {
      minLength: 1,
      maxLength: 5,
    });
    let matches = 0;
    fc.assert(
      fc.property(wanted, given, (pattern, path) => {
        const meant = isMeant(pattern, path);
        if (meant) matches += 1;
        const text = `/${pattern.join("/")}`;
        expect(`${text} ${path.join("/")} ${isPathMatch(parsePathPattern(text), `/${path.join("/")}`)}`).toBe(
          `${text} ${path.join("/")} ${meant}`,
        );
      }),
      { numRuns: fuzzRuns(5000) },
    );
    expect(matches).toBeGreaterThan(500);
  });

  it.each([
    ["/*a*a*a*a*a*b", `/${"a".repeat(4000)}`],
    ["/**/a/**/a/**/a/**/b", "/a".repeat(2000)],
    ["/**/*a*a*b/**/*a*a*b/**/c", `/${"a".repeat(40)}`.repeat(100)],
    ["/**/a*a*a*a*b/*", "/aaaaaaaaaaaaaaaaaaaa".repeat(200)],
  ])("takes no more steps for %s than both lengths allow, twice as many for a path twice as long", (text, path) => {
    const short = countSteps(text, path);
    expect(short).toBeLessThan(text.length * path.length);
    expect(countSteps(text, path + path.replace(/^\//, "")) / short).toBeLessThan(2.2);
  });
});

/** Every way to give stars what they could mean. */
function isMeant(pattern: readonly string[], path: readonly string[]): boolean {
  const [part, ...rest] = pattern;
  if (part === undefined) return path.length === 0;
  if (part === "**") return [...path, ""].some((_, taken) => isMeant(rest, path.slice(taken)));
  const [segment, ...others] = path;
  return segment !== undefined && isNameMeant(part, segment) && isMeant(rest, others);
}

function isNameMeant(part: string, name: string): boolean {
  const star = part.indexOf("*");
  if (star === -1) return part === name;
  if (!name.startsWith(part.slice(0, star))) return false;
  const left = name.slice(star).match(/%..|./g) ?? [];
  return [...left, ""].some((_, taken) => isNameMeant(part.slice(star + 1), left.slice(taken).join("")));
}

/** How often matching looks at the pattern. */
function countSteps(text: string, path: string): number {
  let steps = 0;
  const counted = <T extends object>(list: T): T =>
    new Proxy(list, {
      get: (target, key) => {
        if (typeof key === "string" && /^\d+$/.test(key)) steps += 1;
        return Reflect.get(target, key);
      },
    });
  const pattern = parsePathPattern(text);
  const segments = pattern.segments.map((part) => (part === "**" ? part : counted([...part])));
  const watched: PathPattern = { text, segments: counted(segments) };
  expect(isPathMatch(watched, path)).toBe(false);
  return steps;
}
