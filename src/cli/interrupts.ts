import type { Interrupts } from "../run/context.ts";

const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/** The first signal asks the run to end, the second one insists. Disposing gives the signals back their usual meaning. */
export function catchInterrupts(): Interrupts & Disposable {
  const gentle = new AbortController();
  const forced = new AbortController();
  const onSignal = (signal: NodeJS.Signals): void => {
    if (gentle.signal.aborted) forced.abort(signal);
    else gentle.abort(signal);
  };
  for (const signal of SIGNALS) process.on(signal, onSignal);
  process.on("SIGUSR1", ignore);
  return {
    gentle: gentle.signal,
    forced: forced.signal,
    [Symbol.dispose]: () => {
      for (const signal of SIGNALS) process.off(signal, onSignal);
    },
  };
}

/** Without a listener, Node.js opens its debugger on this signal: a way into the process that can reach the engine. */
function ignore(): void {}
