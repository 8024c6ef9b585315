import { describe, expect, it } from "vitest";
import { createRateLimit, parseRate, type Rate } from "../../../src/egress/accounts/rate-limit.ts";
import { fuzzRuns } from "../../lab/fuzz-runs.ts";
import { fc } from "../../lab/property.ts";

const rates = fc.record({
  count: fc.integer({ min: 1, max: 50 }),
  perMs: fc.constantFrom(1000, 60_000),
  burst: fc.integer({ min: 1, max: 20 }),
});

/** Takes once at each time, and answers which times were allowed. */
function allowedTimes(rate: Rate, times: readonly number[]): readonly number[] {
  let clock = 0;
  const limit = createRateLimit(rate, () => clock);
  return times.filter((time) => {
    clock = time;
    return limit.take().allowed;
  });
}

describe("createRateLimit", () => {
  it("never allows more than burst + rate * time in any window, whatever the clock does", () => {
    const steps = fc.array(fc.integer({ min: -500, max: 3000 }), { maxLength: 150 });
    fc.assert(
      fc.property(rates, steps, (rate, gaps) => {
        let latest = 0;
        let time = 0;
        const seen: number[] = [];
        let clock = 0;
        const limit = createRateLimit(rate, () => clock);
        for (const gap of gaps) {
          time = Math.max(0, time + gap);
          clock = time;
          latest = Math.max(latest, time);
          if (limit.take().allowed) seen.push(latest);
        }
        for (const [first, from] of seen.entries())
          for (const [last, to] of seen.entries())
            if (last >= first) expect(last - first + 1).toBeLessThanOrEqual(rate.burst + ((to - from) * rate.count) / rate.perMs);
      }),
      { numRuns: fuzzRuns(150) },
    );
  });

  it("keeps the word of retryAfterMs: that much later it is allowed, whatever was tried between", () => {
    fc.assert(
      fc.property(rates, fc.array(fc.double({ min: 0, max: 0.999, noNaN: true }), { maxLength: 10 }), (rate, between) => {
        let clock = 0;
        const limit = createRateLimit(rate, () => clock);
        for (let index = 0; index < rate.burst; index += 1) expect(limit.take().allowed).toBe(true);
        const refused = limit.take();
        const wait = refused.allowed ? 0 : refused.retryAfterMs;
        expect(wait).toBeGreaterThan(0);
        expect(wait).toBeLessThanOrEqual(Math.ceil((2 * rate.perMs) / rate.count));
        for (const part of [...between].sort((a, b) => a - b)) {
          clock = part * (wait - 1);
          expect(limit.take().allowed).toBe(false);
        }
        clock = wait;
        expect(limit.take().allowed).toBe(true);
      }),
      { numRuns: fuzzRuns(200) },
    );
  });

  it("lets nobody through sooner for hammering, and nobody wait for ever", () => {
    const rate = { count: 10, perMs: 1000, burst: 1 };
    const everyMs = Array.from({ length: 10_000 }, (_, index) => index);
    const atPace = everyMs.filter((time) => time % 100 === 0);
    expect(allowedTimes(rate, atPace)).toHaveLength(100);
    expect(allowedTimes(rate, everyMs)).toHaveLength(50);
  });

  it("gives the burst at once, and the whole burst again only after rest", () => {
    const rate = { count: 5, perMs: 1000, burst: 3 };
    expect(allowedTimes(rate, [0, 0, 0, 0])).toHaveLength(3);
    expect(allowedTimes(rate, [0, 0, 0, 600, 600, 600, 600])).toHaveLength(6);
  });

  it("stands still while the clock goes backwards", () => {
    expect(allowedTimes({ count: 1, perMs: 1000, burst: 1 }, [5000, 0, 1000, 4000])).toEqual([5000]);
  });
});

describe("parseRate", () => {
  it.each([
    ["30/m", { count: 30, perMs: 60_000, burst: 30 }],
    ["5/s", { count: 5, perMs: 1000, burst: 5 }],
    ["100/h", { count: 100, perMs: 3_600_000, burst: 100 }],
  ])("reads %s", (text, rate) => {
    expect(parseRate(text)).toEqual(rate);
    expect(parseRate(text, 7)).toEqual({ ...rate, burst: 7 });
  });

  it.each(["", "30", "0/m", "-1/s", "1.5/s", "1/d", "1/", "/s", "1e3/s", " 1/s", "1/s\n", "1000000/s", "1/S"])("refuses %j", (text) => {
    expect(() => parseRate(text)).toThrow(
      expect.objectContaining({
        code: "BAD_RATE",
        exitStatus: 64,
        message: expect.stringContaining(text),
        hint: expect.stringContaining("30/m"),
      }),
    );
  });

  it.each([0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY])("refuses a burst of %s", (burst) => {
    expect(() => parseRate("1/s", burst)).toThrow(expect.objectContaining({ code: "BAD_RATE" }));
  });
});
