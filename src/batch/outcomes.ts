import { signalName, signalNumber } from "../core/signals.ts";
import type { BatchReason, SummaryRow } from "./summary.ts";
import { BATCH_REASONS } from "./summary-schema.ts";

export type Outcome = Omit<SummaryRow, "id">;

/** What became of each task, by its place in the list: 24 bytes a task, so that a million of them are no burden. */
export type Outcomes = {
  set(index: number, outcome: Outcome): void;
  get(index: number): Outcome;
  /** How many ended for each reason; reasons without any are left out. */
  counts(): Partial<Record<BatchReason, number>>;
  readonly total: number;
  /** How many completed with exit status 0. */
  succeeded(): number;
};

const NO_CODE = 256;
const NOT_RUN = BATCH_REASONS.indexOf("not-run");
const MOST = 255;

/** All tasks begin as not run. */
export function createOutcomes(total: number): Outcomes {
  const reasons = new Uint8Array(total).fill(NOT_RUN);
  const codes = new Uint16Array(total).fill(NO_CODE);
  const signals = new Uint8Array(total);
  const totals = new Float64Array(total);
  const executes = new Float64Array(total);
  const attempts = new Uint8Array(total);
  const interruptions = new Uint8Array(total);
  const earlier = new Uint8Array(total);

  function reasonAt(index: number): BatchReason {
    return BATCH_REASONS[reasons[index] ?? NOT_RUN] ?? "not-run";
  }

  return {
    total,
    set(index, outcome) {
      reasons[index] = BATCH_REASONS.indexOf(outcome.reason);
      codes[index] = outcome.exit.code ?? NO_CODE;
      signals[index] = outcome.exit.signal === null ? 0 : signalNumber(outcome.exit.signal);
      totals[index] = outcome.durations.total;
      executes[index] = outcome.durations.execute;
      attempts[index] = Math.min(outcome.attempts, MOST);
      interruptions[index] = Math.min(outcome.interruptions, MOST);
      earlier[index] = outcome.earlier ? 1 : 0;
    },
    get(index) {
      const [code = NO_CODE, signal = 0] = [codes[index], signals[index]];
      return {
        reason: reasonAt(index),
        exit: { code: code === NO_CODE ? null : code, signal: signal === 0 ? null : signalName(signal) },
        durations: { total: totals[index] ?? 0, execute: executes[index] ?? 0 },
        attempts: attempts[index] ?? 0,
        interruptions: interruptions[index] ?? 0,
        earlier: earlier[index] === 1,
      };
    },
    counts() {
      const counts: Partial<Record<BatchReason, number>> = {};
      for (let index = 0; index < total; index += 1) counts[reasonAt(index)] = (counts[reasonAt(index)] ?? 0) + 1;
      return counts;
    },
    succeeded: () => reasons.reduce((sum, reason, index) => sum + (reason === 0 && codes[index] === 0 ? 1 : 0), 0),
  };
}

/** Whether the task did what it should: it ran to its end, with exit status 0. */
export function isSuccess({ reason, exit }: Pick<Outcome, "reason" | "exit">): boolean {
  return reason === "completed" && exit.code === 0;
}
