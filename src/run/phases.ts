export const PHASES = ["decide", "create", "attach", "start", "copyIn", "execute", "collect", "destroy"] as const;
export type Phase = (typeof PHASES)[number];

/** Milliseconds spent in each phase; a phase that was not reached stays 0. */
export type Phases = {
  /** Runs `work` and adds its time to `phase`, also when it fails. */
  time<T>(phase: Phase, work: () => Promise<T>): Promise<T>;
  /** The phase under way or last left. */
  current(): Phase;
  totals(): Readonly<Record<Phase, number>>;
};

export function createPhases(now: () => number = () => performance.now()): Phases {
  const totals: Record<Phase, number> = { decide: 0, create: 0, attach: 0, start: 0, copyIn: 0, execute: 0, collect: 0, destroy: 0 };
  let current: Phase = "decide";
  return {
    current: () => current,
    totals: () => ({ ...totals }),
    time: async (phase, work) => {
      const from = now();
      current = phase;
      try {
        return await work();
      } finally {
        totals[phase] += Math.round((now() - from) * 1000) / 1000;
      }
    },
  };
}
