import type { Interrupts } from "../run/context.ts";

/** Hands the wish to stop on to every run that is under way, so that the runs of a long batch leave nothing with a signal that outlives them. */
export type Relay = { open(): Interrupts & Disposable };

export function relayInterrupts({ gentle, forced }: Interrupts): Relay {
  const open = new Set<{ readonly gentle: AbortController; readonly forced: AbortController }>();
  const pass = (kind: keyof Interrupts, signal: AbortSignal): void => {
    const onAbort = (): void => {
      for (const each of open) each[kind].abort(signal.reason);
    };
    signal.addEventListener("abort", onAbort, { once: true });
  };
  pass("gentle", gentle);
  pass("forced", forced);
  return {
    open() {
      const own = { gentle: new AbortController(), forced: new AbortController() };
      if (gentle.aborted) own.gentle.abort(gentle.reason);
      if (forced.aborted) own.forced.abort(forced.reason);
      open.add(own);
      return { gentle: own.gentle.signal, forced: own.forced.signal, [Symbol.dispose]: () => void open.delete(own) };
    },
  };
}
