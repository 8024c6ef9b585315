import type { BatchEvent } from "../batch/events.ts";
import { withoutCommands } from "../batch/github.ts";
import { isSuccess } from "../batch/outcomes.ts";
import { formatDuration } from "../core/units.ts";
import { sanitiseLine } from "../output/sanitise.ts";
import { createTally } from "./batch-tally.ts";
import { isLive, type LiveLine, showLiveLine } from "./live-line.ts";

/** A list that is checked within this time needs no line. */
const SHORT_MS = 400;
/** Between two lines about how far it is, where there is no terminal. */
const LINE_MS = 10_000;

const INTERRUPTED = "interrupted: no more tasks are started, and those that run are asked to end; once more ends them at once";

export type BatchProgress = { readonly onEvent: (event: BatchEvent) => void; readonly stop: () => void };

/**
 * Shows a batch on standard error: a line that changes on a terminal, plain lines elsewhere. What fails gets a line of its own in both; what a run said is
 * made harmless.
 */
export function createBatchProgress(options: {
  readonly total: number;
  readonly quiet: boolean;
  readonly verbose: boolean;
  /** Aborts when no more tasks are started because the caller wants to stop. */
  readonly interrupted: AbortSignal;
}): BatchProgress {
  if (options.quiet) return { onEvent: () => undefined, stop: () => undefined };
  const tally = createTally(options.total);
  const front = isLive(process.stderr) ? createLiveLine(tally.line) : createLines(tally.line);
  const onInterrupt = (): void => front.say(`sandbox: ${INTERRUPTED}\n`);
  options.interrupted.addEventListener("abort", onInterrupt);
  return {
    stop() {
      options.interrupted.removeEventListener("abort", onInterrupt);
      front.stop();
    },
    onEvent(event) {
      tally.onEvent(event);
      const text = linesOf(event, options.verbose);
      if (text !== undefined) front.say(`sandbox: ${withoutCommands(sanitiseLine(text))}\n`);
    },
  };
}

/** Says on a terminal how many tasks of a long list were looked at. */
export function createLoadProgress(quiet: boolean): { readonly onJudged: (count: number) => void; readonly stop: () => void } {
  let judged = 0;
  let live: LiveLine | undefined;
  const show = (): void => {
    live = showLiveLine(process.stderr, () => `checking the list: ${judged} tasks`);
  };
  const timer = quiet || !isLive(process.stderr) ? undefined : setTimeout(show, SHORT_MS).unref();
  return {
    stop() {
      clearTimeout(timer);
      live?.stop();
    },
    onJudged(count) {
      judged = count;
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

type Front = { readonly say: (line: string) => void; readonly stop: () => void };

function createLines(line: () => string): Front {
  const timer = setInterval(() => process.stderr.write(`sandbox: ${line()}\n`), LINE_MS).unref();
  return { say, stop: () => clearInterval(timer) };
}

function createLiveLine(line: (columns: number) => string): Front {
  const { refresh, stop } = showLiveLine(process.stderr, line);
  return {
    stop,
    say(text) {
      refresh();
      say(text);
    },
  };
}

function say(text: string): void {
  process.stderr.write(text);
}
