/** Everything that can end a run. */
export const RUN_REASONS = [
  "completed",
  "timeout",
  "oom",
  "killed",
  "output-limit",
  "egress-limit",
  "denied",
  "waiting",
  "interrupted",
  "engine-lost",
  "failed",
] as const;

/** Why a run ended. The first reason wins and is the one reported. */
export type RunReason = (typeof RUN_REASONS)[number];
