import type { Interrupts } from "../run/context.ts";

/** A caller's signal as a run takes it: the command gets SIGTERM first, and everything is killed after `killAfter`. Disposing lets go of the signal. */
export function interruptsOf(signal: AbortSignal | undefined): Interrupts & Disposable {
  const gentle = new AbortController();
  const abort = (): void => gentle.abort("SIGTERM");
  if (signal?.aborted === true) abort();
  else signal?.addEventListener("abort", abort, { once: true });
  return {
    gentle: gentle.signal,
    forced: new AbortController().signal,
    [Symbol.dispose]: () => signal?.removeEventListener("abort", abort),
  };
}
