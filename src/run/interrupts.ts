import type { Interrupts } from "./context.ts";
import type { RunRecord } from "./record.ts";

/** Turns the caller's wish to stop into the run's reason to end, until disposed. */
export function watchInterrupts(record: RunRecord, interrupts: Interrupts | undefined): Disposable {
  const onGentle = (): void => {
    record.ending.settle({ reason: "interrupted", detail: `The caller interrupted the run with ${String(interrupts?.gentle.reason)}.` });
  };
  if (interrupts?.gentle.aborted === true) onGentle();
  interrupts?.gentle.addEventListener("abort", onGentle, { once: true });
  return { [Symbol.dispose]: () => interrupts?.gentle.removeEventListener("abort", onGentle) };
}

/** Settles with `work`, or as soon as the caller insists on ending. The work itself is not stopped. */
export async function unlessForced(work: Promise<void>, forced: AbortSignal | undefined): Promise<void> {
  const over = new AbortController();
  const insisted = new Promise<void>((resolve) => {
    if (forced?.aborted === true) resolve();
    forced?.addEventListener("abort", () => resolve(), { once: true, signal: over.signal });
  });
  work.catch(() => undefined);
  try {
    await Promise.race([work, insisted]);
  } finally {
    over.abort();
  }
}
