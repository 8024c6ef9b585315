import { describe, expect, it } from "vitest";
import { createRunId, isRunId } from "../../src/core/ids.ts";

describe("a run id", () => {
  it("is safe as a label, a file name and a DNS label", () => {
    expect(createRunId()).toMatch(/^[0-9a-z]{20}$/);
    expect(isRunId(createRunId())).toBe(true);
  });

  it("sorts by the time of its making", () => {
    const ids = [1, 31, 32, 1_000_000, 1_764_000_000_000, 1_764_000_000_001].map((now) => createRunId(now));
    expect(ids.toSorted()).toEqual(ids);
  });

  it("is never made twice", () => {
    expect(new Set(Array.from({ length: 10_000 }, () => createRunId(0))).size).toBe(10_000);
  });

  it.each(["", "abc", "../../etc/passwd", "0123456789abcdefghij0", "0123456789ABCDEFGHJK", "0123456789abcdefghi!"])(
    "%j is not one",
    (text) => {
      expect(isRunId(text)).toBe(false);
    },
  );
});
