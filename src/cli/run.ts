import type { ChildProcess } from "node:child_process";
import { SandboxError } from "../core/errors.ts";
import { pruneDeadOwners } from "../engine/reaper.ts";
import { resolveTask } from "../policy/resolve-task.ts";
import type { Task } from "../policy/task.ts";
import type { RunContext } from "../run/context.ts";
import { exitStatusOf } from "../run/exit-status.ts";
import type { RunResult } from "../run/result.ts";
import { runTask } from "../run/run-task.ts";
import { createSecretSources } from "../run/secret-sources.ts";
import { connect } from "./connect.ts";
import { catchInterrupts } from "./interrupts.ts";
import type { Invocation } from "./invocation.ts";
import { type Learned, prepareLearned } from "./learned.ts";
import { type Options, optionsOf } from "./options.ts";
import { createPresenter } from "./presenter.ts";
import { requestOf } from "./request.ts";
import { openTerminal } from "./terminal.ts";

/** `sandbox run`: flags to task, task to result, result to exit status. */
export async function run(invocation: Invocation, watchdog: ChildProcess): Promise<number> {
  const options = optionsOf(invocation);
  const task = resolveTask(await requestOf(invocation.words, options));
  const interactive = options.flag("interactive");
  if (task.terminal && interactive && !process.stdin.isTTY) {
    throw new SandboxError("USAGE", "-t with -i needs a terminal, and standard input is not one.", "Leave out -t, or run from a terminal.");
  }
  const resultFile = await prepareResultFile(options);
  const presenter = createPresenter({
    mode: modeOf(options),
    task,
    quiet: options.flag("quiet"),
    verbose: options.flag("verbose"),
    raw: options.flag("raw") || task.terminal,
    taskFile: options.text("file"),
  });
  const learned = await prepareLearned(options.text("learn"));
  const result = await runOn(task, options, { presenter, interactive, watchdog, learned });
  await learned.write();
  await resultFile?.(result);
  await presenter.finish(result);
  return exitStatusOf(result);
}

type Front = {
  readonly presenter: ReturnType<typeof createPresenter>;
  readonly interactive: boolean;
  readonly watchdog: ChildProcess;
  readonly learned: Learned;
};

async function runOn(task: Task, options: Options, { presenter, interactive, watchdog, learned }: Front): Promise<RunResult> {
  using interrupts = catchInterrupts();
  const engine = await connect(options, watchdog);
  // What an earlier run left because its engine died too; nobody waits for it.
  pruneDeadOwners(engine).catch(() => undefined);
  using secretSources = createSecretSources(process.env);
  using terminal = openTerminal({ raw: task.terminal && interactive });
  const context: RunContext = {
    engine,
    keepOutput: presenter.keepOutput || options.text("result") !== undefined,
    onOutput: presenter.onOutput,
    onEvent: presenter.onEvent,
    interrupts,
    onLearned: learned.take,
    secretSources,
    roots: async () => (await import("../egress/tls/host-roots.ts")).readHostRoots(process.env),
    ...(interactive || !process.stdin.isTTY ? { stdin: process.stdin } : {}),
    ...(task.terminal ? { terminal } : {}),
  };
  try {
    return await runTask(task, context);
  } finally {
    engine.close();
  }
}

function modeOf(options: Options): "json" | "events" | "stream" {
  if (options.flag("json") && options.flag("events"))
    throw new SandboxError(
      "USAGE",
      "--json and --events both want standard output.",
      "Choose one; --result FILE keeps the result of a run with --events.",
    );
  if (options.flag("json")) return "json";
  return options.flag("events") ? "events" : "stream";
}

/** Checks the place for the result before anything starts; answers how to write it. */
async function prepareResultFile(options: Options): Promise<((result: RunResult) => Promise<void>) | undefined> {
  const path = options.text("result");
  if (path === undefined) return undefined;
  const { assertWritableFile } = await import("../files/outputs.ts");
  const { writeWhole } = await import("../files/write-whole.ts");
  await assertWritableFile(path, "RESULT_UNWRITABLE");
  return (result) => writeWhole(path, `${JSON.stringify(result, null, 2)}\n`);
}
