import { describe, expect, it } from "vitest";
import { createNeedleSearch, type NeedleSearch, type Segment } from "../../../src/egress/secrets/needle-search.ts";
import { fuzzRuns } from "../../lab/fuzz-runs.ts";
import { fc } from "../../lab/property.ts";
import { spentMs } from "../../lab/spent-time.ts";

function show(segments: readonly Segment[]): string {
  return segments.map((segment) => (segment.kind === "bytes" ? segment.bytes.toString("latin1") : `<${segment.needle}>`)).join("");
}

function run(search: NeedleSearch, chunks: readonly string[]): string {
  return chunks.map((chunk) => show(search.push(Buffer.from(chunk)))).join("") + show(search.end());
}

/** Character by character: the longest needle that stands here, or the character. */
function reference(text: string, needles: readonly string[]): string {
  let result = "";
  for (let at = 0; at < text.length; ) {
    const here = needles.map((needle, index) => ({ needle, index })).filter(({ needle }) => text.startsWith(needle, at));
    const best = here.sort((a, b) => b.needle.length - a.needle.length)[0];
    result += best === undefined ? text.charAt(at) : `<${best.index}>`;
    at += best?.needle.length ?? 1;
  }
  return result;
}

describe("createNeedleSearch", () => {
  it("finds the same however the stream is cut, also where needles overlap and contain each other", () => {
    const word = fc.string({ unit: fc.constantFrom("a", "b"), minLength: 1, maxLength: 5 });
    fc.assert(
      fc.property(fc.uniqueArray(word, { minLength: 1, maxLength: 4 }), fc.array(word, { maxLength: 12 }), (needles, chunks) => {
        const search = createNeedleSearch(needles.map((needle) => Buffer.from(needle)));
        expect(run(search, chunks)).toBe(reference(chunks.join(""), needles));
      }),
      { numRuns: fuzzRuns(2000) },
    );
  });

  it("holds back nothing that can't be the beginning of a needle", () => {
    const search = createNeedleSearch([Buffer.from("needle")]);
    expect(show(search.push(Buffer.from("data: 1\n")))).toBe("data: 1\n");
    expect(show(search.push(Buffer.from("hay nee")))).toBe("hay ");
    expect(show(search.push(Buffer.from("ts")))).toBe("neets");
  });

  it("never holds back a whole needle's length", () => {
    const word = fc.string({ unit: fc.constantFrom("a", "b"), minLength: 1, maxLength: 6 });
    fc.assert(
      fc.property(fc.array(word, { minLength: 1, maxLength: 4 }), fc.array(word, { maxLength: 20 }), (needles, chunks) => {
        const search = createNeedleSearch(needles.map((needle) => Buffer.from(needle)));
        let open = 0;
        for (const chunk of chunks) {
          open += chunk.length;
          for (const segment of search.push(Buffer.from(chunk)))
            open -= segment.kind === "bytes" ? segment.bytes.length : (needles[segment.needle]?.length ?? 0);
          expect(open).toBeLessThan(Math.max(...needles.map(({ length }) => length)));
        }
      }),
      { numRuns: fuzzRuns(1000) },
    );
  });

  it("passes 16 MiB made of beginnings in a few seconds", () => {
    const search = createNeedleSearch(Array.from({ length: 40 }, (_, index) => Buffer.from(`sbx-secret-${index}-${"0".repeat(32)}`)));
    const chunk = Buffer.from("sbx-secret-1-000000000000000".repeat(2341));
    const start = process.cpuUsage();
    let length = 0;
    for (let index = 0; index < 256; index += 1)
      for (const segment of search.push(chunk)) length += segment.kind === "bytes" ? segment.bytes.length : 0;
    for (const segment of search.end()) length += segment.kind === "bytes" ? segment.bytes.length : 0;
    expect(length).toBe(256 * chunk.length);
    expect(spentMs(start)).toBeLessThan(10_000);
  });
});
