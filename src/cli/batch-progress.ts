import type { BatchEvent } from "../batch/events.ts";
import { withoutCommands } from "../batch/github.ts";
import { isSuccess } from "../batch/outcomes.ts";
import { formatDuration } from "../core/units.ts";
import { sanitiseLine } from "../output/sanitise.ts";
import { isColoured } from "./colour.ts";

/** Between two lines about how far it is, where there is no terminal. */
const LINE_MS = 10_000;
/** Between two looks of a terminal's line. */
const LOOK_MS = 250;

export type BatchProgress = { readonly onEvent: (event: BatchEvent) => void; stop: () => void };

/**
 * Shows a batch on standard error: a line that changes on a terminal, plain lines elsewhere. What fails gets a line of its own in both; what a run said is
 * made harmless.
 */
export function createBatchProgress(options: {
  readonly total: number;
  readonly quiet: boolean;
  readonly verbose: boolean;
}): BatchProgress {
  if (options.quiet) return { onEvent: () => undefined, stop: () => undefined };
  const tally = createTally(options.total);
  const front = process.stderr.isTTY ? createSpinner(tally.line) : createLines(tally.line);
  return {
    stop: () => front.stop(),
    onEvent(event) {
      tally.onEvent(event);
      const text = linesOf(event, options.verbose);
      if (text !== undefined) front.say(`sandbox: ${withoutCommands(sanitiseLine(text))}\n`);
    },
  };
}

/** What is worth a line of its own. */
function linesOf(event: BatchEvent, verbose: boolean): string | undefined {
  switch (event.type) {
    case "image.pulling":
      return verbose ? `getting ${event.image}: ${event.progress}` : undefined;
    case "started":
      if (event.interruptions > 0 && event.attempt === 1)
        return `${event.id}: was under way when a batch before was interrupted; it runs again`;
      return verbose ? `${event.id}: started` : undefined;
    case "retried":
      return `${event.id}: ${event.detail} It is tried again.`;
    case "stopped":
      return event.why === "first failure"
        ? "no more tasks are started after the first failure"
        : "no more tasks are started: the engine has gone; go on later with --resume";
    case "finished":
      if (event.outcome.earlier) return undefined;
      if (!isSuccess(event.outcome)) return `${event.id}: ${event.outcome.reason}: ${event.detail}`;
      return verbose ? `${event.id}: completed in ${formatDuration(event.outcome.durations.total)}` : undefined;
  }
}

type Tally = { readonly onEvent: (event: BatchEvent) => void; readonly line: () => string };

/** Counts what happens, for one line that says how far the batch is. */
function createTally(total: number): Tally {
  const failed = new Map<string, number>();
  const began = performance.now();
  const counts = { done: 0, earlier: 0, running: 0 };
  let waiting: string | undefined;
  return {
    onEvent(event) {
      waiting = event.type === "image.pulling" ? `getting ${event.image}: ${event.progress}` : undefined;
      if (event.type === "started" && event.attempt === 1) counts.running += 1;
      if (event.type !== "finished") return;
      counts.done += 1;
      if (event.outcome.earlier) counts.earlier += 1;
      else counts.running -= 1;
      if (!isSuccess(event.outcome)) failed.set(event.outcome.reason, (failed.get(event.outcome.reason) ?? 0) + 1);
    },
    line() {
      if (waiting !== undefined) return sanitiseLine(waiting);
      const own = counts.done - counts.earlier;
      const rate = own / ((performance.now() - began) / 1000);
      const bad = [...failed.values()].reduce((sum, count) => sum + count, 0);
      const reasons = [...failed].map(([reason, count]) => `${count} ${reason === "completed" ? "exit not 0" : reason}`).join(", ");
      const left = own === 0 ? "" : `, ${rate.toFixed(1)}/s, ${formatDuration(Math.round((total - counts.done) / rate) * 1000)} left`;
      return `${counts.done} of ${total} done, ${counts.running} running${bad === 0 ? "" : `, ${bad} failed (${reasons})`}${left}`;
    },
  };
}

type Front = { readonly say: (line: string) => void; readonly stop: () => void };

function createLines(line: () => string): Front {
  const timer = setInterval(() => process.stderr.write(`sandbox: ${line()}\n`), LINE_MS).unref();
  return { say: (text) => void process.stderr.write(text), stop: () => clearInterval(timer) };
}

function createSpinner(line: () => string): Front {
  let spinner: { text: string; clear(): unknown; render(): unknown; stop(): unknown } | undefined;
  let stopped = false;
  void import("ora").then(({ default: ora }) => {
    if (stopped) return;
    const color = isColoured(process.stderr) ? "cyan" : false;
    spinner = ora({ text: line(), stream: process.stderr, discardStdin: false, hideCursor: false, color }).start();
  });
  const timer = setInterval(() => {
    if (spinner !== undefined) spinner.text = line();
  }, LOOK_MS).unref();
  return {
    say(text) {
      spinner?.clear();
      process.stderr.write(text);
      spinner?.render();
    },
    stop() {
      stopped = true;
      clearInterval(timer);
      spinner?.stop();
    },
  };
}
