import { SandboxError } from "../core/errors.ts";
import type { Task } from "../policy/task.ts";
import { badBatch, badBatchOf } from "./bad-batch.ts";
import type { BatchTask } from "./batch-task.ts";
import { createIdIndex } from "./id-index.ts";
import { nameOf, readTasks, type TaskSource } from "./read-tasks.ts";
import { openSpool, type Spool } from "./spool.ts";

export type Loading = {
  readonly source: TaskSource;
  /** Throws what is wrong with one task. */
  readonly judge: (task: BatchTask) => Task;
  /** The output directory: the judged tasks are kept beside it. */
  readonly out: string;
  readonly signal: AbortSignal;
  /** Gets the number of tasks that were judged so far, after each one. */
  readonly onJudged?: (count: number) => void;
};

/**
 * Reads and judges the whole list before anything starts, in memory that does not grow with the tasks but for a digest of each id. Throws `BAD_BATCH`
 * with the first line that is wrong, `USAGE`, `OUT_UNWRITABLE` and `INTERRUPTED`.
 */
export async function loadTasks({ source, judge, out, signal, onJudged }: Loading): Promise<Spool> {
  const spool = openSpool(out);
  const ids = createIdIndex();
  const name = nameOf(source);
  try {
    for await (const { line, task } of readTasks(source)) {
      if (signal.aborted) throw new SandboxError("INTERRUPTED", "The batch was interrupted before it began.", "Run again.");
      const place = { source: name, line };
      const earlier = ids.add(task.id, line);
      if (earlier !== undefined)
        throw badBatch(place, {
          sentence: `the id "${task.id}" stands on line ${earlier} already`,
          hint: "Give every task an id of its own.",
        });
      try {
        judge(task);
      } catch (error) {
        throw badBatchOf(place, error);
      }
      spool.append({ line, task });
      onJudged?.(spool.count);
    }
    if (spool.count === 0)
      throw badBatch({ source: name, line: 1 }, { sentence: "there is no task", hint: "Write one at least; see `sandbox schema batch`." });
    return spool;
  } catch (error) {
    spool[Symbol.dispose]();
    throw error;
  }
}
