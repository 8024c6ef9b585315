import { setTimeout as delay } from "node:timers/promises";
import { SandboxError, toSandboxError } from "../core/errors.ts";
import { signalName, signalNumber } from "../core/signals.ts";
import { parseDuration, parseSize } from "../core/units.ts";
import type { Command, CommandExit } from "../guest/command.ts";
import type { Session } from "../guest/session.ts";
import { assertCommand, assertEnvironment, parseWorkdir } from "../policy/task-fields.ts";
import { carryOutput, DRAIN_MS } from "./carry-output.ts";
import { environmentOf } from "./command-environment.ts";
import { type Input, openInput } from "./command-input.ts";
import type { TerminalSize } from "./context.ts";
import { armDeadline } from "./deadline.ts";
import type { Plan } from "./decide.ts";
import { endingOfExit, endingOfFailure, oomKills } from "./diagnose.ts";
import { createEndingRace, type EndingRace, type Reason } from "./ending.ts";
import { feedInput } from "./feed-input.ts";
import { firstOf } from "./first-of.ts";
import { createOutputMeter } from "./output-meter.ts";
import type { RunRecord } from "./record.ts";
import type { StreamResult } from "./result.ts";

/** What one command in an open sandbox may be given; what is left out is as the sandbox has it. */
export type ExecOptions = {
  /** Default nothing. */
  readonly stdin?: Input;
  /** Beside the sandbox's own. */
  readonly env?: Readonly<Record<string, string>>;
  /** Absolute, inside. */
  readonly cwd?: string;
  /** Aborting ends the command: SIGTERM to its process group, SIGKILL after `killAfter`. */
  readonly signal?: AbortSignal;
  readonly timeout?: string;
  readonly killAfter?: string;
  /** For each of standard output and standard error. */
  readonly maxOutput?: string;
  /** Takes output as it comes; the next piece waits for the returned promise. */
  readonly onStdout?: (piece: Uint8Array) => Promise<void> | void;
  readonly onStderr?: (piece: Uint8Array) => Promise<void> | void;
  /** A terminal in place of the three pipes; everything then arrives on standard output. */
  readonly terminal?: TerminalSize & { readonly onResize?: (listener: (size: TerminalSize) => void) => void };
};

/** How one command went: the same words as in a run's result. */
export type ExecResult = {
  readonly reason: Reason;
  /** The reason in one sentence. */
  readonly detail: string;
  readonly exit: { readonly code: number | null; readonly signal: string | null };
  /** Kept up to 1 MiB each, first and last half. */
  readonly stdout: StreamResult;
  readonly stderr: StreamResult;
  /** Whether not everything that was written is in `stdout` and `stderr`. */
  readonly truncated: boolean;
  /** `memoryPeak` in bytes, of its largest process; null where it is not known. */
  readonly usage: { readonly wallMs: number; readonly cpuMs: number | null; readonly memoryPeak: number | null };
};

/** An open sandbox, as its commands see it. */
export type LiveSandbox = {
  readonly record: RunRecord;
  readonly plan: Plan;
  readonly session: Session;
  /** The reasons to end of the commands under way. */
  readonly running: Set<EndingRace>;
  /** Counts commands from 1. */
  readonly number: () => number;
};

/** Long enough for the kernel on an overloaded machine. */
const KILL_MS = 5_000;

/**
 * Runs one command in an open sandbox to its end. Throws for bad input, for a program that is not there or can't be executed, and for a sandbox that has
 * ended; what else can happen to a command is the result's `reason`.
 */
export async function runCommand(live: LiveSandbox, argv: readonly string[], options: ExecOptions): Promise<ExecResult> {
  const { session, record } = live;
  const limits = limitsOf(live, options);
  const request = requestOf(live, argv, options);
  const ending = createEndingRace();
  const meter = { limit: limits.outputBytes, keep: true };
  const [stdout, stderr] = [createOutputMeter(meter), createOutputMeter(meter)];
  const stats = session.stats();
  stats.catch(() => undefined);
  const command = session.exec(request);
  const number = live.number();
  options.terminal?.onResize?.((size) => command.resize(size));
  using _interrupt = watchSignal(options.signal, ending);
  live.running.add(ending);
  using given = openInput(options.stdin);
  const input = feedInput(given.stream, { target: command.stdin, ending });
  const output = Promise.all([
    carryOutput(command.stdout, { name: "stdout", meter: stdout, ending, take: (_name, piece) => options.onStdout?.(piece) }),
    carryOutput(command.stderr, { name: "stderr", meter: stderr, ending, take: (_name, piece) => options.onStderr?.(piece) }),
  ]);
  const from = performance.now();
  try {
    const exit = await untilExit(live, { command, ending, number, limits });
    const wallMs = Math.round(performance.now() - from);
    await ending.unlessEnded(output);
    if (ending.current() !== undefined) await Promise.race([output, delay(DRAIN_MS, undefined, { ref: false })]);
    ending.settle(await endingOf(live, { exit, oomKillsBefore: stats.then(oomKills, () => 0) }));
    const shown = { code: exit?.code ?? null, signal: exit?.signal === undefined ? null : signalName(exit.signal) };
    record.emit({ type: "exec.exited", ...shown, exec: number });
    const kept = { stdout: stdout.finish(), stderr: stderr.finish() };
    const { reason = "completed", detail = "" } = ending.current() ?? {};
    return {
      reason,
      detail,
      exit: shown,
      ...kept,
      truncated: kept.stdout.truncated || kept.stderr.truncated || stdout.exceeded || stderr.exceeded,
      usage: { wallMs, cpuMs: exit === undefined ? null : exit.userMs + exit.systemMs, memoryPeak: exit?.maxRssBytes ?? null },
    };
  } finally {
    live.running.delete(ending);
    input.stop();
    for (const stream of [command.stdout, command.stderr]) stream.destroy();
  }
}

type Limits = { readonly timeoutMs: number; readonly killAfterMs: number; readonly outputBytes: number };

function limitsOf({ record }: LiveSandbox, { timeout, killAfter, maxOutput }: ExecOptions): Limits {
  const { quotas } = record.task;
  return {
    timeoutMs: timeout === undefined ? quotas.timeoutMs : parseDuration(timeout, "timeout"),
    killAfterMs: killAfter === undefined ? quotas.killAfterMs : parseDuration(killAfter, "killAfter"),
    outputBytes: maxOutput === undefined ? quotas.outputBytes : parseSize(maxOutput, "maxOutput"),
  };
}

function requestOf({ record, plan }: LiveSandbox, argv: readonly string[], options: ExecOptions) {
  const { task, egress } = record;
  const { env = {}, cwd, terminal, stdin } = options;
  assertCommand(argv);
  assertEnvironment(env);
  if (options.signal?.aborted === true)
    throw new SandboxError("INTERRUPTED", "The command was given up before it was started.", "Pass a signal that is not aborted yet.");
  return {
    argv,
    env: { ...environmentOf(plan.image, { terminal: terminal !== undefined }), ...egress?.env, ...task.env, ...env },
    cwd: cwd === undefined ? task.workdir : parseWorkdir(cwd),
    stdin: stdin !== undefined,
    terminal: terminal === undefined ? undefined : { rows: terminal.rows, columns: terminal.columns },
  };
}

function watchSignal(signal: AbortSignal | undefined, ending: EndingRace): Disposable {
  const onAbort = (): void => ending.settle({ reason: "interrupted", detail: "The caller gave the command up." });
  signal?.addEventListener("abort", onAbort, { once: true });
  return { [Symbol.dispose]: () => signal?.removeEventListener("abort", onAbort) };
}

type Watched = { readonly command: Command; readonly ending: EndingRace; readonly number: number; readonly limits: Limits };

/** The command's exit, by itself or because it was told to; `undefined` when it could not be seen any more. */
async function untilExit(live: LiveSandbox, { command, ending, number, limits }: Watched): Promise<CommandExit | undefined> {
  const { record } = live;
  try {
    const started = await ending.unlessEnded(command.started);
    if (started !== undefined) record.emit({ type: "exec.started", pid: started.pid, exec: number });
    using _deadline = armDeadline(ending, limits.timeoutMs);
    const exit = await ending.unlessEnded(command.exited);
    return exit ?? (await endGroup(command, limits.killAfterMs));
  } catch (error) {
    const loss = await endingOfFailure(record, error);
    if (record.loss === undefined && record.ending.current() === undefined) throw toSandboxError(error);
    ending.settle(record.ending.current() ?? loss);
    return undefined;
  }
}

/** SIGTERM to the process group, SIGKILL to what has not ended after `killAfterMs`. */
async function endGroup(command: Command, killAfterMs: number): Promise<CommandExit | undefined> {
  command.signal(signalNumber("SIGTERM"));
  const exit = await firstOf(command.exited, killAfterMs);
  if (exit !== undefined) return exit;
  command.signal(signalNumber("SIGKILL"));
  return firstOf(command.exited, KILL_MS);
}

type Ended = { readonly exit: CommandExit | undefined; readonly oomKillsBefore: Promise<number> };

/** Why a command that nothing else ended has ended: the kernel's count of out-of-memory kills has grown, or it is a plain exit. */
async function endingOf({ session }: LiveSandbox, { exit, oomKillsBefore }: Ended) {
  const killed = exit?.signal === signalNumber("SIGKILL") || exit?.code === 128 + signalNumber("SIGKILL");
  const stats = killed ? await session.stats().catch(() => undefined) : undefined;
  const isOom = oomKills(stats) > (await oomKillsBefore);
  return endingOfExit({ exit, stats: isOom ? stats : undefined });
}
