import type { ExitResult } from "../run/result.ts";
import type { RunReason } from "../run/run-reason.ts";

/** Why a task ended: a run's reasons, and `not-run` where the batch ended before the task's turn. */
export type BatchReason = RunReason | "not-run";

/** What a batch came to, `sandbox.batch/1`. Times are ISO 8601 in UTC. */
export type Summary = {
  readonly schema: "sandbox.batch/1";
  readonly started: string;
  readonly ended: string;
  /** Tasks in the list. */
  readonly total: number;
  /** Those that completed with exit status 0. */
  readonly succeeded: number;
  /** How many tasks ended for each reason. */
  readonly counts: Readonly<Partial<Record<BatchReason, number>>>;
  /** Every task once, in the order of the list. */
  readonly tasks: readonly SummaryRow[];
};

export type SummaryRow = {
  readonly id: string;
  readonly reason: BatchReason;
  readonly exit: ExitResult;
  /** Milliseconds of the last run, and of its command. */
  readonly durations: { readonly total: number; readonly execute: number };
  /** How often it was started for this result; 0 for a task that was not run. */
  readonly attempts: number;
  /** How often it was under way before when the batch was killed, and ran again. */
  readonly interruptions: number;
  /** Whether the result is of an earlier batch that `--resume` went on with. */
  readonly earlier: boolean;
};
