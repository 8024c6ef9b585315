import { SandboxError } from "../../core/errors.ts";

/** `count` attempts per `perMs` milliseconds in the long run, and at most `burst` of them at once. */
export type Rate = { readonly count: number; readonly perMs: number; readonly burst: number };

export type Taken = { readonly allowed: true } | { readonly allowed: false; readonly retryAfterMs: number };

export type RateLimit = { take(): Taken };

/**
 * The generic cell rate algorithm in its form as virtual scheduling (ITU-T I.371, annex A): in any span of `t` milliseconds at most
 * `burst + t * count / perMs` attempts are allowed.
 *
 * Attempts count, not successes: where the standard leaves the schedule alone after a refusal, the first refusal since the latest allowed attempt costs one
 * interval (`perMs / count`) as well, so that hammering gets through later than waiting does. Further refusals cost nothing more: whoever goes on hammering
 * still gets half the rate, and what `retryAfterMs` (a whole number, at most two intervals) once promised stays true.
 *
 * `now` gives milliseconds; when it goes backwards, time stands still here until it has caught up.
 */
export function createRateLimit({ count, perMs, burst }: Rate, now: () => number): RateLimit {
  // Times are kept in units of 1/count ms: one interval is then exactly `perMs`, and nothing gets rounded.
  const tolerance = (burst - 1) * perMs;
  let time = now() * count;
  let due = time;
  let charged = false;

  return {
    take() {
      time = Math.max(time, now() * count);
      const early = due - tolerance - time;
      if (early <= 0) {
        due = Math.max(due, time) + perMs;
        charged = false;
        return { allowed: true };
      }
      if (!charged) due += perMs;
      charged = true;
      return { allowed: false, retryAfterMs: Math.ceil((due - tolerance - time) / count) };
    },
  };
}

const UNITS = { s: 1000, m: 60_000, h: 3_600_000 } as const;
const RATE = /^([1-9]\d{0,5})\/([smh])$/;

/** `N/UNIT` with the unit `s`, `m` or `h`, such as `30/m`; `burst` is `N` unless given. Throws `BAD_RATE`. */
export function parseRate(text: string, burst?: number): Rate {
  const match = RATE.exec(text);
  const unit = match?.[2];
  if (match === null || (unit !== "s" && unit !== "m" && unit !== "h"))
    throw new SandboxError("BAD_RATE", `"${text}" is not a rate.`, "Write a whole number per s, m or h, such as 30/m.");
  const count = Number(match[1]);
  if (burst !== undefined && (!Number.isInteger(burst) || burst < 1 || burst > 999_999))
    throw new SandboxError("BAD_RATE", `A burst of ${burst} is not a whole number from 1 to 999999.`, "Write a number such as 10.");
  return { count, perMs: UNITS[unit], burst: burst ?? count };
}
