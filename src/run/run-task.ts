import type { Task } from "../policy/task.ts";
import { collectFiles } from "./collect-files.ts";
import type { RunContext } from "./context.ts";
import { endingOfExit, endingOfFailure } from "./diagnose.ts";
import { execute } from "./execute.ts";
import { unlessForced, watchInterrupts } from "./interrupts.ts";
import { prepareSandbox } from "./prepare-sandbox.ts";
import { openRecord, type RunRecord } from "./record.ts";
import type { RunResult } from "./result.ts";
import { destroySandbox } from "./sandbox.ts";
import { seal } from "./seal.ts";

/**
 * Runs one task in one container, from decision to sealed result. Never throws for what can go wrong during a run: the result's
 * `reason` and `error` say it, and whatever happened, the container is destroyed first.
 */
export async function runTask(task: Task, context: RunContext): Promise<RunResult> {
  const record = openRecord(task, { run: context.engine.newRun(), onEvent: context.onEvent, keepOutput: context.keepOutput });
  using _interrupts = watchInterrupts(record, context.interrupts);
  try {
    await unlessForced(carryOut(record, context), context.interrupts?.forced);
  } catch (error) {
    record.ending.settle(await endingOfFailure(record, error));
  }
  await record.phases.time("destroy", () => destroySandbox(record));
  if (task.egress.learn) context.onLearned?.(record.egress?.learned() ?? []);
  return seal(record);
}

/** The steps of a run's life. Each one leaves in the record what the next ones need, and returns early once there is a reason to end. */
async function carryOut(record: RunRecord, context: RunContext): Promise<void> {
  const { phases, ending } = record;
  const prepared = await prepareSandbox(record, context);
  if (prepared === undefined) return;
  const { plan, session } = prepared;

  const usable = await phases.time("execute", () => execute(record, plan, { session, context }));
  if (usable) await phases.time("collect", () => collectFiles(record, plan, { session, engine: context.engine }));
  ending.settle(endingOfExit(record));
}
