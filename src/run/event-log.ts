import type { RunEvent } from "./events.ts";

/** The events of one run for any number of readers. Each begins with the oldest that is kept and ends with the log. */
export type EventLog = {
  readonly events: AsyncIterable<RunEvent>;
  add(event: RunEvent): void;
  /** Nothing follows. */
  close(): void;
};

/** A reader that falls further behind misses what lies between. */
const MOST_KEPT = 10_000;

export function createEventLog(): EventLog {
  const kept: RunEvent[] = [];
  const waiting = new Set<() => void>();
  let dropped = 0;
  let closed = false;

  function wake(): void {
    for (const resume of waiting) resume();
    waiting.clear();
  }

  async function* read(): AsyncGenerator<RunEvent> {
    for (let next = 0; ; next += 1) {
      next = Math.max(next, dropped);
      while (next >= dropped + kept.length) {
        if (closed) return;
        await new Promise<void>((resolve) => waiting.add(resolve));
        next = Math.max(next, dropped);
      }
      const event = kept[next - dropped];
      if (event !== undefined) yield event;
    }
  }

  return {
    events: { [Symbol.asyncIterator]: read },
    add(event) {
      kept.push(event);
      // A batch at a time, since taking one from the front of a long list costs as much as the list is long.
      if (kept.length >= 2 * MOST_KEPT) dropped += kept.splice(0, MOST_KEPT).length;
      wake();
    },
    close() {
      closed = true;
      wake();
    },
  };
}
