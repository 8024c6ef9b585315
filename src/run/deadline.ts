import { formatDuration } from "../core/units.ts";
import type { EndingRace } from "./ending.ts";

/** Node.js fires a timer that is set further away at once. */
const LONGEST_TIMER = 2 ** 31 - 1;

/** Ends a command that runs longer than `timeoutMs` from now, until disposed. */
export function armDeadline(ending: EndingRace, timeoutMs: number): Disposable {
  const timer = setTimeout(
    () => {
      ending.settle({
        reason: "timeout",
        detail: `The command ran longer than ${formatDuration(timeoutMs)}; --timeout raises the limit.`,
      });
    },
    Math.min(timeoutMs, LONGEST_TIMER),
  );
  return { [Symbol.dispose]: () => clearTimeout(timer) };
}
