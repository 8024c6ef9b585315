import type { ChildProcess } from "node:child_process";
import { availableParallelism } from "node:os";
import { createJudge } from "../batch/judge-task.ts";
import { type Loading, loadTasks } from "../batch/load-tasks.ts";
import { prepareOutput } from "../batch/prepare-output.ts";
import { MOST_JOBS, MOST_RETRIES, type Report, runBatch } from "../batch/run-batch.ts";
import type { Spool } from "../batch/spool.ts";
import { writeSummary } from "../batch/write-summary.ts";
import { SandboxError } from "../core/errors.ts";
import { currentOwner, judgeOwner } from "../engine/ownership.ts";
import { createPool } from "../engine/pool.ts";
import { pruneDeadOwners } from "../engine/reaper.ts";
import { assertWritableFile } from "../files/outputs.ts";
import type { Interrupts, RunContext } from "../run/context.ts";
import { createSecretSources } from "../run/secret-sources.ts";
import { createBatchProgress, createLoadProgress } from "./batch-progress.ts";
import { reportBatch } from "./batch-report.ts";
import { connect } from "./connect.ts";
import { catchInterrupts } from "./interrupts.ts";
import type { Invocation } from "./invocation.ts";
import { type Options, optionsOf } from "./options.ts";
import { requestOf } from "./request.ts";

const INTERRUPTED_STATUS = 130;

/** `sandbox batch`: a list of tasks to a directory of results. Everything is judged before the engine is asked for anything. */
export async function batch(invocation: Invocation, watchdog: ChildProcess): Promise<number> {
  const options = optionsOf(invocation);
  const settings = await readSettings(options);
  const common = createJudge(await requestOf(["true"], options));
  const output = await prepareOutput({
    path: settings.out,
    resume: options.flag("resume"),
    isAlive: (writer) => judgeOwner(writer) === "alive",
  });
  using interrupts = catchInterrupts();
  const source = { path: invocation.words[0] ?? "", stdin: process.stdin, template: options.text("template") };
  using tasks = await load({ source, judge: common.judge, out: output.out, signal: interrupts.gentle }, options.flag("quiet"));
  const direct = await connect(options, watchdog);
  // One ready for every second lane keeps up with them; more would only take the CPU from what runs.
  const engine = createPool(direct, { max: Math.ceil(settings.jobs / 2), total: tasks.count });
  // What an earlier batch left because its engine died too; nobody waits for it.
  pruneDeadOwners(engine).catch(() => undefined);
  const progress = createBatchProgress({
    total: tasks.count,
    quiet: options.flag("quiet"),
    verbose: options.flag("verbose"),
    interrupted: interrupts.gentle,
  });
  let report: Report;
  try {
    const context = contextOf(engine);
    report = await runBatch({ ...settings, tasks, common, output, writer: currentOwner(), context, interrupts, onEvent: progress.onEvent });
  } finally {
    progress.stop();
    // An engine that is gone keeps what waits until it is back; the next start clears it away.
    await Promise.resolve(engine[Symbol.asyncDispose]()).catch(() => undefined);
    direct.close();
  }
  const summary = await writeSummary(report);
  await reportBatch(report, { summary, junit: settings.junit, json: options.flag("json"), env: process.env });
  return statusOf(report, interrupts);
}

async function load(loading: Loading, quiet: boolean): Promise<Spool> {
  const progress = createLoadProgress(quiet);
  try {
    return await loadTasks({ ...loading, onJudged: progress.onJudged });
  } finally {
    progress.stop();
  }
}

function statusOf({ outcomes }: Report, interrupts: Interrupts): number {
  if (interrupts.gentle.aborted) return INTERRUPTED_STATUS;
  return outcomes.succeeded() === outcomes.total ? 0 : 1;
}

/** Tasks get their standard input from the list alone. */
function contextOf(engine: RunContext["engine"]): RunContext {
  let roots: Promise<readonly string[]> | undefined;
  return {
    engine,
    keepOutput: true,
    secretSources: createSecretSources(process.env),
    roots: () => {
      roots ??= import("../egress/tls/host-roots.ts").then(({ readHostRoots }) => readHostRoots(process.env));
      return roots;
    },
  };
}

type Settings = {
  readonly out: string;
  readonly jobs: number;
  readonly retries: number;
  readonly failFast: boolean;
  readonly junit: string | undefined;
};

async function readSettings(options: Options): Promise<Settings> {
  const out = options.text("out");
  if (out === undefined) throw new SandboxError("USAGE", "There is no place for the results.", "Name a directory with --out DIR.");
  const junit = options.text("junit");
  if (junit !== undefined) await assertWritableFile(junit, "RESULT_UNWRITABLE");
  return {
    out,
    junit,
    jobs: readNumber(options.text("jobs") ?? String(availableParallelism()), { flag: "--jobs", least: 1, most: MOST_JOBS }),
    retries: readNumber(options.text("retries") ?? "0", { flag: "--retries", least: 0, most: MOST_RETRIES }),
    failFast: options.flag("failFast"),
  };
}

function readNumber(text: string, { flag, least, most }: { readonly flag: string; readonly least: number; readonly most: number }): number {
  const value = /^\d{1,4}$/.test(text) ? Number(text) : -1;
  if (value >= least && value <= most) return value;
  throw new SandboxError(
    "USAGE",
    `${flag} is "${text}", which is not a whole number from ${least} to ${most}.`,
    `Write ${flag} ${Math.max(least, 2)}.`,
  );
}
