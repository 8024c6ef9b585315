import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { canonicalJson } from "../../src/core/canonical-json.ts";

describe("canonical JSON", () => {
  it("sorts keys by UTF-16 units at every depth and leaves spaces out", () => {
    expect(canonicalJson({ b: [1, { z: null, a: "x" }], "\u20ac": 1, "\r": 2, "1": 3, "\ufb33": 4, "\ud83d\ude00": 5 })).toBe(
      '{"\\r":2,"1":3,"b":[1,{"a":"x","z":null}],"\u20ac":1,"\ud83d\ude00":5,"\ufb33":4}',
    );
  });

  it("leaves out members that are undefined, and refuses what JSON has no word for", () => {
    expect(canonicalJson({ a: undefined, b: 1 })).toBe('{"b":1}');
    for (const value of [undefined, Number.NaN, Number.POSITIVE_INFINITY, 1n, () => 1, [undefined]])
      expect(() => canonicalJson(value)).toThrow(TypeError);
  });

  it("gives one text for one value, however its keys are ordered, and loses nothing", () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const text = canonicalJson(value);
        expect(JSON.parse(text)).toEqual(JSON.parse(JSON.stringify(value)));
        expect(canonicalJson(reversed(value))).toBe(text);
      }),
    );
  });
});

/** The same value with its members the other way round. */
function reversed(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(reversed);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .reverse()
      .map(([key, member]) => [key, reversed(member)]),
  );
}
