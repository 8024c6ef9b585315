import type { ErrorReport, SandboxError } from "../core/errors.ts";
import { ERROR_STATUS } from "../core/errors.ts";
import type { RunReason } from "./run-reason.ts";

export type Ending = {
  readonly reason: RunReason;
  /** One sentence for people. */
  readonly detail: string;
  readonly error?: ErrorReport;
  /** The exit status that goes with the error, where there is one. */
  readonly status?: number;
};

/** Holds the first reason to end, and lets work race against it. */
export type EndingRace = {
  /** Records a reason; every later one is ignored. */
  settle(ending: Ending): void;
  current(): Ending | undefined;
  /** Settles with the first reason, if one comes. */
  readonly first: Promise<Ending>;
  /** The value of `work`, or `undefined` as soon as there is a reason to end. The work itself is not stopped. */
  unlessEnded<T>(work: Promise<T>): Promise<T | undefined>;
};

export function createEndingRace(): EndingRace {
  let current: Ending | undefined;
  let announce: (ending: Ending) => void = () => undefined;
  const first = new Promise<Ending>((resolve) => {
    announce = resolve;
  });
  return {
    first,
    current: () => current,
    settle: (ending) => {
      current ??= ending;
      announce(current);
    },
    unlessEnded: (work) => Promise.race([work, first.then(() => undefined)]),
  };
}

/** The ending that an error stands for. */
export function endingOfError(error: SandboxError): Ending {
  const reason = error.code === "ENGINE_LOST" ? "engine-lost" : error.code === "INTERRUPTED" ? "interrupted" : "failed";
  return { reason, detail: error.message, error: error.report(), status: ERROR_STATUS[error.code] };
}
