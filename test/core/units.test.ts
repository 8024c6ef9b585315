import { describe, expect, it } from "vitest";
import { formatDuration, formatSize, parseDuration, parseSize } from "../../src/core/units.ts";
import { fc } from "../lab/property.ts";

describe("parseSize", () => {
  it.each([
    ["1b", 1],
    ["4096B", 4096],
    ["1k", 1024],
    ["64m", 64 * 1024 ** 2],
    ["64MiB", 64 * 1024 ** 2],
    ["1.5g", 1.5 * 1024 ** 3],
    ["1Gi", 1024 ** 3],
    ["2t", 2 * 1024 ** 4],
  ])("reads %s as %d bytes", (text, bytes) => {
    expect(parseSize(text, "--memory")).toBe(bytes);
  });

  it.each(["512", "", "m", "-1m", "0m", "1.m", "1e3m", "1 m", " 1m", "0x10m", "1m2", "١m", "9999999999t", "0.3b", "NaNm", "1mm"])(
    "refuses %j and says what to write",
    (text) => {
      expect(() => parseSize(text, "--memory")).toThrow(
        expect.objectContaining({
          code: "BAD_SIZE",
          message: `--memory is "${text}", which is not a size.`,
          hint: "Write a number with a unit, such as 64m or 1Gi.",
        }) as Error,
      );
    },
  );

  it("reads back what formatSize prints of whole units", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 1023 }), fc.integer({ min: 0, max: 4 }), (value, step) => {
        expect(parseSize(formatSize(value * 1024 ** step).replace(" ", ""), "size")).toBe(value * 1024 ** step);
      }),
    );
  });
});

describe("parseDuration", () => {
  it.each([
    ["250ms", 250],
    ["30s", 30_000],
    ["5m", 300_000],
    ["1.5h", 5_400_000],
    ["1d", 86_400_000],
  ])("reads %s as %d ms", (text, milliseconds) => {
    expect(parseDuration(text, "--timeout")).toBe(milliseconds);
  });

  it.each(["30", "", "s", "-5s", "0s", "1w", "5 m", "0.5ms", "1:30"])("refuses %j", (text) => {
    expect(() => parseDuration(text, "--timeout")).toThrow(expect.objectContaining({ code: "BAD_DURATION" }) as Error);
  });

  it("prints durations for people", () => {
    expect([740, 1200, 300_000, 90_000].map(formatDuration)).toEqual(["740 ms", "1.2 s", "5 min", "1.5 min"]);
  });
});
