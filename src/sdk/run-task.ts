import { resolveTask } from "../policy/resolve-task.ts";
import { openInput } from "../run/command-input.ts";
import { createEventLog } from "../run/event-log.ts";
import type { RunEvent } from "../run/events.ts";
import type { RunResult } from "../run/result.ts";
import { runTask as runResolved } from "../run/run-task.ts";
import { openCaller } from "./caller.ts";
import { interruptsOf } from "./interrupts.ts";
import { judgeOptions } from "./judge-options.ts";
import { chosenEngine } from "./open-engine.ts";
import { TASK_SHAPE } from "./option-shapes.ts";
import { requestOf, type TaskOptions } from "./options.ts";

/** Resolves to the result; `events` can be read while it runs, and later. */
export type RunningTask = Promise<RunResult> & { readonly events: AsyncIterable<RunEvent> };

/**
 * Runs one task in one container: `const { reason, exit, stdout } = await runTask({ command: ["id"] })`. Rejects with a `SandboxError` for bad input and when
 * there is no engine; what else can go wrong is the result's `reason` and `error`, and the container is destroyed in any case.
 */
export function runTask(options: TaskOptions): RunningTask {
  const log = createEventLog();
  const result = run(options, (event) => log.add(event)).finally(() => log.close());
  return Object.assign(result, { events: log.events });
}

async function run(options: TaskOptions, onEvent: (event: RunEvent) => void): Promise<RunResult> {
  judgeOptions("runTask", TASK_SHAPE, options);
  const { stdin, signal, onOutput, ...rest } = options;
  const task = resolveTask(requestOf(rest));
  await using chosen = await chosenEngine(options);
  using caller = openCaller();
  using interrupts = interruptsOf(signal);
  using input = openInput(stdin);
  return await runResolved(task, {
    engine: chosen.engine,
    keepOutput: true,
    onEvent,
    secretSources: caller.secretSources,
    roots: caller.roots,
    ...(input.stream === undefined ? {} : { stdin: input.stream }),
    ...(onOutput === undefined ? {} : { onOutput }),
    interrupts,
  });
}
