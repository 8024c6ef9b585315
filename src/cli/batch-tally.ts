import type { BatchEvent } from "../batch/events.ts";
import { isSuccess } from "../batch/outcomes.ts";
import { sanitiseLine } from "../output/sanitise.ts";
import { widthOf } from "./live-line.ts";

/** How far a batch is. `line` says it in at most so many columns, and leaves out what matters least where they are few. */
export type Tally = { readonly onEvent: (event: BatchEvent) => void; readonly line: (columns?: number) => string };

/** Counts what happens in a batch of so many tasks. */
export function createTally(total: number): Tally {
  const failed = new Map<string, number>();
  const counts = { done: 0, earlier: 0, running: 0 };
  let began: number | undefined;
  let waiting: string | undefined;
  return {
    onEvent(event) {
      waiting = event.type === "image.pulling" ? `getting ${event.image}: ${event.progress}` : undefined;
      if (event.type === "started") began ??= performance.now();
      if (event.type === "started" && event.attempt === 1) counts.running += 1;
      if (event.type !== "finished") return;
      counts.done += 1;
      if (event.outcome.earlier) counts.earlier += 1;
      else counts.running -= 1;
      if (!isSuccess(event.outcome)) failed.set(event.outcome.reason, (failed.get(event.outcome.reason) ?? 0) + 1);
    },
    line(columns = Number.POSITIVE_INFINITY) {
      if (waiting !== undefined) return sanitiseLine(waiting);
      const own = counts.done - counts.earlier;
      const rate = own / ((performance.now() - (began ?? performance.now())) / 1000);
      const pace = { done: counts.done, total, rate: own === 0 ? undefined : rate };
      const said = wordings({ ...pace, running: counts.running, failed });
      return said.find((text) => widthOf(text) <= columns) ?? said.at(-1) ?? "";
    },
  };
}

type Count = {
  readonly done: number;
  readonly total: number;
  readonly running: number;
  readonly failed: ReadonlyMap<string, number>;
  /** Tasks a second; `undefined` while nobody knows. */
  readonly rate: number | undefined;
};

/** The same with less and less in it. */
function wordings({ done, total, running, failed, rate }: Count): readonly string[] {
  const bad = [...failed.values()].reduce((sum, count) => sum + count, 0);
  const reasons = [...failed].map(([reason, count]) => `${count} ${reason === "completed" ? "exit not 0" : reason}`).join(", ");
  const progress = [`${done}/${total} done`];
  const active = [`${running} running`];
  const wrong = bad === 0 ? [] : [`${bad} failed`];
  const explained = bad === 0 ? [] : [`${bad} failed (${reasons})`];
  const pace = rate === undefined ? [] : [rate >= 0.1 ? `${rate.toFixed(1)}/s` : `${(rate * 60).toFixed(1)}/min`];
  const left = rate === undefined || done === total ? [] : [`${roughly((total - done) / rate)} left`];
  const lines = [
    [...progress, ...active, ...explained, ...pace, ...left],
    [...progress, ...active, ...explained, ...left],
    [...progress, ...active, ...wrong, ...pace, ...left],
    [...progress, ...active, ...wrong, ...left],
    [...progress, ...wrong, ...left],
    [...progress, ...wrong],
    [`${done}/${total}`, ...wrong],
    [`${done}/${total}`],
  ];
  return lines.map((parts) => parts.join(", "));
}

const MINUTE = 60;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** A time that is a guess, in one or two units. */
function roughly(seconds: number): string {
  if (seconds < MINUTE) return `${Math.ceil(seconds)} s`;
  if (seconds < HOUR) return `${Math.round(seconds / MINUTE)} min`;
  if (seconds < DAY) return `${Math.floor(seconds / HOUR)} h ${Math.floor((seconds % HOUR) / MINUTE)} min`;
  return `${Math.floor(seconds / DAY)} d ${Math.floor((seconds % DAY) / HOUR)} h`;
}
