import picomatch from "picomatch";
import { describe, expect, it } from "vitest";
import { compileGlobs, globBase, normaliseGlob } from "../../src/files/glob.ts";
import { artifactRoots } from "../../src/files/outputs.ts";
import { fc } from "../lab/property.ts";
import { spentMs } from "../lab/spent-time.ts";

describe("compileGlobs", () => {
  it.each([
    ["out", "out/a/b", true],
    ["out", "outer", false],
    ["*.csv", "a.csv", true],
    ["*.csv", "d/a.csv", false],
    ["*.csv", ".hidden.csv", true],
    ["**/*.csv", "a.csv", true],
    ["**/*.csv", "d/e/a.csv", true],
    ["**", "any/thing", true],
    ["d/**", "d/x/y", true],
    ["d/**", "d", false],
    ["d/**/x", "d/x", true],
    ["d/**/x", "d/a/b/x/below", true],
    ["data-?.json", "data-€.json", true],
    ["[ab]*/[!x]", "b1/y", true],
    ["[ab]*/[!x]", "b1/x", false],
    ["[a-c].txt", "b.txt", true],
    ["[a.txt", "[a.txt", true],
    ["{src,test}/*.{ts,js}", "test/a.js", true],
    ["{src,test}/*.{ts,js}", "lib/a.js", false],
    ["a{b,{c,d/e}}f", "ad/ef", true],
    ["{a}", "{a}", true],
    ["\\*", "*", true],
    ["\\*", "a", false],
    ["a(b|c)+", "a(b|c)+", true],
    ["*", "a\nb", true],
  ])("%s and %j: %s", (glob, path, matches) => {
    expect(compileGlobs([glob])(path)).toBe(matches);
  });

  it("agrees with picomatch wherever both know the syntax", () => {
    const component = fc.string({ unit: fc.constantFrom("a", "b", ".", "*", "?", "[ab]", "[^a]"), minLength: 1, maxLength: 4 });
    const glob = fc.array(fc.oneof(component, fc.constant("**")), { minLength: 1, maxLength: 3 }).map((parts) => parts.join("/"));
    const path = fc.array(fc.string({ unit: fc.constantFrom("a", "b", "."), minLength: 1, maxLength: 4 }), { minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(glob, path, (pattern, components) => {
        fc.pre(!pattern.endsWith("/**"));
        fc.pre(
          [...pattern.split("/"), ...components].every((name) => name !== "." && name !== "..") &&
            !/\*{2}[^/]|[^/]\*{2}|\*{3}/.test(pattern),
        );
        const theirs = picomatch([pattern, `${pattern}/**`], { dot: true, fastpaths: false });
        expect(`${pattern} ${components.join("/")} ${compileGlobs([pattern])(components.join("/"))}`).toBe(
          `${pattern} ${components.join("/")} ${theirs(components.join("/"))}`,
        );
      }),
      { numRuns: 2000 },
    );
  });

  it("is not held up by a name made for a glob with many stars", () => {
    const name = `${"_".repeat(255)}/`.repeat(16);
    const start = process.cpuUsage();
    expect(compileGlobs(["**/*_*_*_*_*_*_*_*_*.csv", "*_*_*_*_*.csv/**/x", "**/_*/**/_*/**/_*x"])(name)).toBe(false);
    expect(spentMs(start)).toBeLessThan(1000);
  });
});

describe("normaliseGlob", () => {
  it.each([
    "",
    "/",
    "/etc/passwd",
    "../x",
    "a/../../b",
    "a//b",
    "./",
    ".",
    "a/./b",
    "!x",
    "{a,..}/b",
    "\\.\\./x",
    "x".repeat(1025),
    "{a,b}".repeat(9),
    "a\0b",
  ])("refuses %j", (glob) => {
    expect(() => normaliseGlob(glob, "--artifact")).toThrow(
      expect.objectContaining({ code: "BAD_GLOB", message: expect.stringContaining("--artifact") }),
    );
  });

  it("drops a leading ./ and a trailing slash", () => {
    expect(normaliseGlob("./out/", "--artifact")).toBe("out");
  });
});

describe("artifactRoots", () => {
  it("names the fixed part of each glob, without those below another", () => {
    expect(artifactRoots(["out/*.csv", "./out/deep/x", "logs/a.txt", "d/{a,b}/c"])).toEqual(["d", "logs/a.txt", "out"]);
    expect(artifactRoots(["*.txt", "out"])).toEqual(["."]);
    expect(artifactRoots([])).toEqual([]);
    expect(globBase("a/b*")).toBe("a");
  });

  it("refuses what leads out of the workspace", () => {
    expect(() => artifactRoots(["ok", "../x"])).toThrow(expect.objectContaining({ code: "BAD_GLOB" }));
  });
});
