import { mkdir } from "node:fs/promises";
import { toSandboxError } from "../core/errors.ts";
import type { Task } from "../policy/task.ts";
import type { Interrupts, RunContext } from "../run/context.ts";
import type { BatchEvent } from "./events.ts";
import { relayInterrupts } from "./interrupts.ts";
import { openJournal, type Writer } from "./journal.ts";
import type { Common } from "./judge-task.ts";
import { createOutcomes, isSuccess, type Outcomes } from "./outcomes.ts";
import type { Output } from "./prepare-output.ts";
import { rehearse } from "./rehearse.ts";
import { type Done, findEarlier, runOne, type Session } from "./run-one.ts";
import type { Spool, SpooledTask } from "./spool.ts";
import { removePartials } from "./task-directory.ts";

/** Tasks at one time, and tries of one task, at most. */
export const MOST_JOBS = 1_000;
export const MOST_RETRIES = 100;

export type BatchOptions = {
  readonly tasks: Spool;
  readonly common: Common;
  readonly output: Output;
  readonly writer: Writer;
  /** How many tasks run at one time. */
  readonly jobs: number;
  /** How often a task is tried again where the sandbox failed. */
  readonly retries: number;
  /** Start no task after the first that does not complete with exit status 0. */
  readonly failFast: boolean;
  readonly context: RunContext;
  readonly interrupts: Interrupts;
  readonly onEvent: (event: BatchEvent) => void;
};

/** What a batch came to. */
export type Report = {
  readonly started: Date;
  readonly ended: Date;
  readonly outcomes: Outcomes;
  readonly tasks: Spool;
  readonly out: string;
};

/**
 * Runs every task of a batch that has no result yet, some at a time, each in a sandbox of its own over one connection to the engine. What goes wrong with a
 * task is its outcome; throws `OUT_UNWRITABLE` when results can't be kept, and what stands in the way of every task before the first one starts.
 */
export async function runBatch(options: BatchOptions): Promise<Report> {
  const { tasks, common, output, interrupts, onEvent } = options;
  const started = new Date();
  const context = await rehearse(common.task, { ...options.context, interrupts }, onEvent);
  await mkdir(output.out, { recursive: true });
  if (output.past !== undefined) await removePartials(output.out);
  using journal = openJournal(output.out, options.writer);
  const outcomes = createOutcomes(tasks.count);
  const stop = new AbortController();
  const session: Session = {
    out: output.out,
    judge: (line) => withFoundImage(common.judge(line)),
    context,
    retries: options.retries,
    past: output.past,
    journal,
    relay: relayInterrupts(interrupts),
    stopping: AbortSignal.any([stop.signal, interrupts.gentle]),
    onEvent,
  };
  const take = async ({ index, task }: SpooledTask): Promise<void> => {
    const done = (await findEarlier(task, session)) ?? (session.stopping.aborted ? undefined : await runOne(task, session));
    if (done === undefined) return;
    outcomes.set(index, done.outcome);
    onEvent({ type: "finished", id: task.id, outcome: done.outcome, detail: done.detail });
    const why = whyToStop(done, options.failFast);
    if (why === undefined || session.stopping.aborted) return;
    stop.abort();
    onEvent({ type: "stopped", why });
  };
  await inLanes({ lanes: Math.min(options.jobs, tasks.count), tasks: tasks.read(), stop }, take, isOver);
  return { started, ended: new Date(), outcomes, tasks, out: output.out };

  /** Once no more tasks are to start, the rest is gone through only for the results that are there already. */
  function isOver(): boolean {
    return session.stopping.aborted && (session.past === undefined || interrupts.forced.aborted);
  }
}

/** The image was looked for, and got, before the first task. */
function withFoundImage(task: Task): Task {
  return { ...task, image: { ...task.image, pull: "missing" } };
}

/** Where nobody listens any more, every other task would fail in the same way. */
const ENGINE_GONE: readonly (string | undefined)[] = ["NO_ENGINE", "ENGINE_REFUSED", "ENGINE_DENIED"];

function whyToStop({ outcome, code }: Done, failFast: boolean): "first failure" | "engine gone" | undefined {
  if (outcome.reason === "failed" && ENGINE_GONE.includes(code)) return "engine gone";
  return failFast && !isSuccess(outcome) && outcome.reason !== "interrupted" ? "first failure" : undefined;
}

type Lanes = { readonly lanes: number; readonly tasks: AsyncGenerator<SpooledTask>; readonly stop: AbortController };

/** Each lane takes the next task when it is done with one: what is read ahead is never more than the lanes can take. A failure ends them all. */
async function inLanes({ lanes, tasks, stop }: Lanes, take: (task: SpooledTask) => Promise<void>, isOver: () => boolean): Promise<void> {
  const lane = async (): Promise<void> => {
    try {
      while (!isOver()) {
        const next = await tasks.next();
        if (next.done === true) return;
        await take(next.value);
      }
    } catch (error) {
      stop.abort();
      throw error;
    }
  };
  const ends = await Promise.allSettled(Array.from({ length: lanes }, lane));
  await tasks.return(undefined);
  for (const end of ends) if (end.status === "rejected") throw toSandboxError(end.reason);
}
