import { parseDuration, parseSize } from "../core/units.ts";
import { parseCount, parseCpus } from "./task-fields.ts";
import type { TaskRequest } from "./task-request.ts";

/** What one run may use at the most. Sizes in bytes, durations in milliseconds. */
export type Quotas = {
  readonly memoryBytes: number;
  readonly cpus: number;
  readonly pids: number;
  readonly diskBytes: number;
  readonly tmpBytes: number;
  readonly timeoutMs: number;
  readonly killAfterMs: number;
  readonly outputBytes: number;
};

/** As they are written in a request. */
export const DEFAULT_QUOTAS = {
  memory: "512m",
  cpus: "1",
  pids: "256",
  disk: "256m",
  tmpSize: "64m",
  timeout: "5m",
  killAfter: "2s",
  maxOutput: "64m",
} as const;

/** Parses the limits of a request and fills in the defaults. Throws `BAD_QUOTA` and the errors of units. */
export function resolveQuotas(request: TaskRequest): Quotas {
  const memoryBytes = parseSize(request.memory ?? DEFAULT_QUOTAS.memory, "--memory");
  /** A default that a small memory could not pay for is lowered with it. */
  const fitting = (given: string | undefined, fallback: string, what: string): number =>
    given === undefined
      ? Math.min(parseSize(fallback, what), Math.floor(memoryBytes / (what === "--disk" ? 2 : 8)))
      : parseSize(given, what);
  return {
    memoryBytes,
    cpus: parseCpus(request.cpus ?? DEFAULT_QUOTAS.cpus),
    pids: parseCount(request.pids ?? DEFAULT_QUOTAS.pids, "--pids-limit"),
    diskBytes: fitting(request.disk, DEFAULT_QUOTAS.disk, "--disk"),
    tmpBytes: fitting(request.tmpSize, DEFAULT_QUOTAS.tmpSize, "--tmp-size"),
    timeoutMs: parseDuration(request.timeout ?? DEFAULT_QUOTAS.timeout, "--timeout"),
    killAfterMs: parseDuration(request.killAfter ?? DEFAULT_QUOTAS.killAfter, "--kill-after"),
    outputBytes: parseSize(request.maxOutput ?? DEFAULT_QUOTAS.maxOutput, "--max-output"),
  };
}
