import { Readable } from "node:stream";
import { setTimeout as delay } from "node:timers/promises";
import { ERROR_STATUS, type ErrorCode } from "../core/errors.ts";
import type { Task } from "../policy/task.ts";
import type { RunContext } from "../run/context.ts";
import type { RunResult } from "../run/result.ts";
import { runTask } from "../run/run-task.ts";
import type { BatchTask } from "./batch-task.ts";
import type { BatchEvent } from "./events.ts";
import type { Relay } from "./interrupts.ts";
import type { Journal, Past } from "./journal.ts";
import type { Outcome } from "./outcomes.ts";
import type { Finished } from "./summary-schema.ts";
import { digestTask } from "./task-digest.ts";
import { openTaskDirectory, readFinished, removeResults } from "./task-directory.ts";

/** What the runs of one batch have in common. */
export type Session = {
  readonly out: string;
  readonly judge: (task: BatchTask) => Task;
  readonly context: RunContext;
  readonly retries: number;
  /** What is known of earlier batches in `out`, where this one goes on with them. */
  readonly past: Past | undefined;
  readonly journal: Journal;
  readonly relay: Relay;
  /** No task is tried again once this is aborted. */
  readonly stopping: AbortSignal;
  readonly onEvent: (event: BatchEvent) => void;
};

/** Labels of a run that say what it was for: a directory of results needs nothing else to be recognised again. */
const LABEL = {
  task: "sandbox.batch.task",
  digest: "sandbox.batch.digest",
  attempt: "sandbox.batch.attempt",
  interruptions: "sandbox.batch.interruptions",
} as const;

/** How a run ended, and the error that it ended with. */
export type Done = { readonly outcome: Outcome; readonly detail: string; readonly code: string | undefined };

/** The result that an earlier batch left for this very task, if there is one and it is its last word. */
export async function findEarlier(line: BatchTask, session: Session): Promise<Done | undefined> {
  if (session.past === undefined) return undefined;
  const finished = await readFinished(session.out, line.id);
  if (finished === undefined || isUnfinished(finished)) return undefined;
  return finished.labels[LABEL.digest] === digestTask(line, session.judge(line)) ? earlier(finished) : undefined;
}

/** Runs one task to its result. Results that are in its place are of another task, or unfinished: they go. Throws `OUT_UNWRITABLE` when results can't be kept. */
export async function runOne(line: BatchTask, session: Session): Promise<Done> {
  const task = session.judge(line);
  const digest = digestTask(line, task);
  const interruptions = session.past?.interruptions.get(line.id) ?? 0;
  if (session.past !== undefined) await removeResults(session.out, line.id);
  for (let attempt = 1; ; attempt += 1) {
    session.onEvent({ type: "started", id: line.id, attempt, interruptions });
    const labels = {
      [LABEL.task]: line.id,
      [LABEL.digest]: digest,
      [LABEL.attempt]: String(attempt),
      [LABEL.interruptions]: String(interruptions),
    };
    const isLast = attempt > session.retries;
    const result = await attemptTask({ line, task: { ...task, labels: { ...task.labels, ...labels } }, isLast }, session);
    const done = doneOf(result, { attempts: attempt, interruptions, earlier: false });
    if (!isOurs(result) || isLast || session.stopping.aborted) return done;
    session.onEvent({ type: "retried", id: line.id, attempt, detail: result.detail });
    await delay(pauseAfter(attempt), undefined, { signal: session.stopping }).catch(() => undefined);
  }
}

type Attempt = { readonly line: BatchTask; readonly task: Task; readonly isLast: boolean };

/** One run. Its results appear unless it was interrupted, or is going to be tried again. */
async function attemptTask({ line, task, isLast }: Attempt, session: Session): Promise<RunResult> {
  const { out, context, journal, relay, stopping } = session;
  using interrupts = relay.open();
  journal.started(line.id);
  await using directory = await openTaskDirectory(out, line.id, (path) => context.engine.removeIfKilled(path));
  const result = await runTask(
    { ...task, out: directory.artifacts },
    {
      ...context,
      keepOutput: true,
      interrupts,
      onOutput: (name, piece) => directory.write(name, piece),
      ...(line.stdin === undefined ? {} : { stdin: Readable.from([Buffer.from(line.stdin)]) }),
    },
  );
  if (result.reason === "interrupted" || (isOurs(result) && !isLast && !stopping.aborted)) return result;
  await directory.publish(result);
  journal.ended(line.id);
  return result;
}

/** Whether it was the sandbox that failed, and not the task: then another try may do better. */
function isOurs({ reason, error }: Pick<Finished, "reason" | "error">): boolean {
  if (reason === "engine-lost") return true;
  const status = error === undefined ? 125 : isErrorCode(error.code) ? ERROR_STATUS[error.code] : 125;
  return reason === "failed" && (status === 69 || status === 125);
}

/** A result that is not the last word about its task. */
function isUnfinished(finished: Finished): boolean {
  return finished.reason === "interrupted" || isOurs(finished);
}

function isErrorCode(code: string): code is ErrorCode {
  return Object.hasOwn(ERROR_STATUS, code);
}

const FIRST_PAUSE = 250;
const LONGEST_PAUSE = 8_000;

/** Milliseconds before the next try: an engine that restarts needs seconds. */
function pauseAfter(attempt: number): number {
  return Math.min(FIRST_PAUSE * 2 ** (attempt - 1), LONGEST_PAUSE);
}

function earlier(finished: Finished): Done {
  const number = (label: string): number => Math.max(0, Math.trunc(Number(finished.labels[label]))) || 0;
  return doneOf(finished, { attempts: number(LABEL.attempt), interruptions: number(LABEL.interruptions), earlier: true });
}

function doneOf(result: Finished | RunResult, history: Pick<Outcome, "attempts" | "interruptions" | "earlier">): Done {
  const { reason, exit, started, ended, phases, detail, error } = result;
  const total = Math.max(0, Date.parse(ended) - Date.parse(started));
  return { outcome: { reason, exit: { ...exit }, durations: { total, execute: phases.execute }, ...history }, detail, code: error?.code };
}
