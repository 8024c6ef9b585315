import { onceAborted } from "../core/once-aborted.ts";

/** The value of `work`, or `undefined` when it fails, takes too long, or the caller insists on ending. The work itself is not stopped. */
export async function firstOf<T>(work: Promise<T>, milliseconds: number, forced?: AbortSignal): Promise<T | undefined> {
  let give: () => void = () => undefined;
  const over = new Promise<undefined>((resolve) => {
    give = () => resolve(undefined);
  });
  const timer = setTimeout(give, milliseconds);
  using _forced = onceAborted(forced, give);
  try {
    return await Promise.race([work.catch(() => undefined), over]);
  } finally {
    clearTimeout(timer);
  }
}
