import { Readable } from "node:stream";
import type { BatchTask } from "../batch/batch-task.ts";
import { createJudge } from "../batch/judge-task.ts";
import { loadTasks } from "../batch/load-tasks.ts";
import { prepareOutput } from "../batch/prepare-output.ts";
import { runBatch as runLoaded } from "../batch/run-batch.ts";
import type { Summary, SummaryRow } from "../batch/summary.ts";
import { headOf, rowsOf, writeSummary } from "../batch/write-summary.ts";
import { SandboxError } from "../core/errors.ts";
import { currentOwner, judgeOwner } from "../engine/ownership.ts";
import { createPool } from "../engine/pool.ts";
import type { TaskRequest } from "../policy/task-request.ts";
import { openCaller } from "./caller.ts";
import { interruptsOf } from "./interrupts.ts";
import { judgeOptions } from "./judge-options.ts";
import { chosenEngine } from "./open-engine.ts";
import { BATCH_SHAPE } from "./option-shapes.ts";
import { type BatchOptions, requestOf } from "./options.ts";

/**
 * Runs many tasks, each in a container of its own, and resolves to what became of them in the order of the list; the results are in `out`, as with `sandbox
 * batch`. Everything is read and judged before anything starts: throws `BAD_BATCH`, `OUT_UNWRITABLE` and what is wrong with the options.
 */
export async function runBatch(options: BatchOptions): Promise<Summary> {
  judgeOptions("runBatch", BATCH_SHAPE, options);
  const { tasks: list, template, out, resume = false, jobs = 2, retries = 0, failFast = false, signal, onEvent, ...rest } = options;
  const request: TaskRequest = { ...requestOf(rest), command: ["true"] };
  const common = createJudge(request);
  const output = await prepareOutput({ path: out, resume, isAlive: (writer) => judgeOwner(writer) === "alive" });
  using interrupts = interruptsOf(signal);
  const source = typeof list === "string" ? { path: list, stdin: Readable.from([]) } : { path: "-", stdin: linesOf(list), name: LIST };
  using tasks = await loadTasks({ source: { ...source, template }, judge: common.judge, out: output.out, signal: interrupts.gentle });
  await using chosen = await chosenEngine(options);
  using caller = openCaller();
  await using engine = createPool(chosen.engine, { max: Math.ceil(jobs / 2), total: tasks.count });
  const { secretSources, roots } = caller;
  const report = await runLoaded({
    ...{ jobs, retries, failFast, tasks, common, output, interrupts },
    writer: currentOwner(),
    context: { engine, keepOutput: true, secretSources, roots },
    onEvent: onEvent ?? (() => undefined),
  });
  await writeSummary(report);
  const rows: SummaryRow[] = [];
  for await (const row of rowsOf(report)) rows.push(row);
  return { ...headOf(report), tasks: rows };
}

/** How a list that is no file is called; its tasks count as lines, from 1. */
const LIST = "tasks";

/** As the command line would read them. */
function linesOf(tasks: Iterable<BatchTask> | AsyncIterable<BatchTask>): Readable {
  async function* lines(): AsyncGenerator<Buffer> {
    let line = 1;
    try {
      for await (const task of tasks) {
        const text: unknown = JSON.stringify(task);
        // What JSON has no text for, such as a function, is no task.
        yield Buffer.from(`${typeof text === "string" ? text : "null"}\n`);
        line += 1;
      }
    } catch (error) {
      if (error instanceof SandboxError) throw error;
      const why = error instanceof Error ? error.message : String(error);
      throw new SandboxError(
        "BAD_BATCH",
        `${LIST}:${line}: the task can't be had: ${why}.`,
        "Make what gives the tasks give all of them.",
        {
          cause: error,
        },
      );
    }
  }
  return Readable.from(lines());
}
