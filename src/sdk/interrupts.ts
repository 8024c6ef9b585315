import { onceAborted } from "../core/once-aborted.ts";
import type { Interrupts } from "../run/context.ts";

/** A caller's signal as a run takes it: the command gets SIGTERM first, and everything is killed after `killAfter`. Disposing lets go of the signal. */
export function interruptsOf(signal: AbortSignal | undefined): Interrupts & Disposable {
  const gentle = new AbortController();
  const watch = onceAborted(signal, () => gentle.abort("SIGTERM"));
  return { gentle: gentle.signal, forced: new AbortController().signal, [Symbol.dispose]: () => watch[Symbol.dispose]() };
}
