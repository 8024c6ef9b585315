import { onceAborted } from "../core/once-aborted.ts";
import type { Interrupts } from "./context.ts";
import type { RunRecord } from "./record.ts";

/** Turns the caller's wish to stop into the run's reason to end, until disposed. */
export function watchInterrupts(record: RunRecord, interrupts: Interrupts | undefined): Disposable {
  return onceAborted(interrupts?.gentle, () => {
    record.ending.settle({ reason: "interrupted", detail: `The caller interrupted the run with ${String(interrupts?.gentle.reason)}.` });
  });
}

/** Settles with `work`, or as soon as the caller insists on ending. The work itself is not stopped. */
export async function unlessForced(work: Promise<void>, forced: AbortSignal | undefined): Promise<void> {
  let give: () => void = () => undefined;
  const insisted = new Promise<void>((resolve) => {
    give = resolve;
  });
  using _forced = onceAborted(forced, give);
  work.catch(() => undefined);
  await Promise.race([work, insisted]);
}
