/** How many containers were in use at once lately. */
export type Demand = {
  enter(): void;
  leave(): void;
  /** The most in use at once within the current and the last period. */
  peak(): number;
};

/** `period` in milliseconds; `now` is a clock in milliseconds that never goes back. */
export function createDemand(period: number, now: () => number): Demand {
  let inUse = 0;
  let current = { since: now(), peak: 0 };
  let last = 0;

  function turn(): void {
    const periods = Math.floor((now() - current.since) / period);
    if (periods === 0) return;
    last = periods === 1 ? current.peak : inUse;
    current = { since: current.since + periods * period, peak: inUse };
  }

  return {
    enter() {
      turn();
      inUse += 1;
      current.peak = Math.max(current.peak, inUse);
    },
    leave() {
      turn();
      inUse -= 1;
    },
    peak() {
      turn();
      return Math.max(last, current.peak);
    },
  };
}
