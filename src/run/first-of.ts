import { setTimeout as delay } from "node:timers/promises";

/** The value of `work`, or `undefined` when it fails, takes too long, or the caller insists on ending. */
export async function firstOf<T>(work: Promise<T>, milliseconds: number, forced?: AbortSignal): Promise<T | undefined> {
  const timer = new AbortController();
  const signal = forced === undefined ? timer.signal : AbortSignal.any([timer.signal, forced]);
  const late = delay(milliseconds, undefined, { signal }).catch(() => undefined);
  try {
    return await Promise.race([work.catch(() => undefined), late]);
  } finally {
    timer.abort();
  }
}
