import { ERROR_STATUS, type ErrorCode } from "../core/errors.ts";
import { signalNumber } from "../core/signals.ts";
import type { RunResult } from "./result.ts";

const SIGKILL = 9;

/** The exit status of the command line for a result: the table of the reference. */
export function exitStatusOf(result: RunResult): number {
  switch (result.reason) {
    case "completed":
      return result.exit.code ?? 128 + (result.exit.signal === null ? 0 : signalNumber(result.exit.signal));
    case "timeout":
      return 124;
    case "oom":
    case "killed":
      return 128 + SIGKILL;
    case "interrupted":
      return 130;
    case "waiting":
      return 75;
    case "denied":
    case "egress-limit":
    case "output-limit":
      return 77;
    case "engine-lost":
      return 69;
    case "failed":
      return isErrorCode(result.error?.code) ? ERROR_STATUS[result.error.code] : 125;
  }
}

function isErrorCode(code: string | undefined): code is ErrorCode {
  return code !== undefined && Object.hasOwn(ERROR_STATUS, code);
}
