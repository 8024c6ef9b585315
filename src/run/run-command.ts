import { setTimeout as delay } from "node:timers/promises";
import { toSandboxError } from "../core/errors.ts";
import { onceAborted } from "../core/once-aborted.ts";
import { signalName, signalNumber } from "../core/signals.ts";
import type { Command, CommandExit } from "../guest/command.ts";
import type { Session } from "../guest/session.ts";
import { carryOutput, DRAIN_MS } from "./carry-output.ts";
import { openInput } from "./command-input.ts";
import { type CommandLimits, type ExecOptions, resolveLimits, resolveRequest } from "./command-request.ts";
import { armDeadline } from "./deadline.ts";
import type { Plan } from "./decide.ts";
import { endingOfExit, endingOfFailure, oomKills } from "./diagnose.ts";
import { endCommand, sweepCommand } from "./end-command.ts";
import { createEndingRace, type Ending, type EndingRace } from "./ending.ts";
import { feedInput } from "./feed-input.ts";
import { createOutputMeter, type OutputMeter } from "./output-meter.ts";
import type { RunRecord } from "./record.ts";
import type { StreamResult } from "./result.ts";
import type { RunReason } from "./run-reason.ts";

/** How one command went: the same words as in a run's result. */
export type ExecResult = {
  readonly reason: RunReason;
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
  readonly nextNumber: () => number;
};

/**
 * Runs one command in an open sandbox to its end. Throws for bad input, for a program that is not there or can't be executed, and for a sandbox that has
 * ended; what else can happen to a command is the result's `reason`.
 */
export async function runCommand(live: LiveSandbox, argv: readonly string[], options: ExecOptions): Promise<ExecResult> {
  const limits = resolveLimits(live.record.task, options);
  const request = resolveRequest(live, argv, options);
  const ending = createEndingRace();
  const oomKillsBefore = live.session.stats().then(oomKills, () => 0);
  const command = live.session.exec(request);
  const number = live.nextNumber();
  options.terminal?.onResize?.((size) => command.resize(size));
  using _interrupt = watchSignal(options.signal, ending);
  live.running.add(ending);
  using given = openInput(options.stdin);
  const input = feedInput(given.stream, { target: command.stdin, ending });
  const meter = { limit: limits.outputBytes, keep: true };
  const meters = { stdout: createOutputMeter(meter), stderr: createOutputMeter(meter) };
  const take = (name: "stdout" | "stderr", piece: Buffer) => (name === "stdout" ? options.onStdout : options.onStderr)?.(piece);
  const output = carryOutput(command, meters, { ending, take });
  const from = performance.now();
  try {
    const exit = await untilExit(live, { command, ending, number, limits });
    const wallMs = Math.round(performance.now() - from);
    await ending.unlessEnded(output);
    const own = await endingOf(live, { exit, oomKillsBefore });
    ending.settle(own);
    if (ending.current() !== own) {
      await sweepCommand(live, command);
      await Promise.race([output, delay(DRAIN_MS, undefined, { ref: false })]);
    }
    const result = resultOf(meters, { ending: ending.current(), exit, wallMs });
    live.record.emit({ type: "exec.exited", ...result.exit, exec: number });
    return result;
  } finally {
    live.running.delete(ending);
    input.stop();
    for (const stream of [command.stdout, command.stderr]) stream.destroy();
  }
}

type Outcome = { readonly ending: Ending | undefined; readonly exit: CommandExit | undefined; readonly wallMs: number };

function resultOf(meters: Readonly<Record<"stdout" | "stderr", OutputMeter>>, { ending, exit, wallMs }: Outcome): ExecResult {
  const [stdout, stderr] = [meters.stdout.finish(), meters.stderr.finish()];
  const { reason = "completed", detail = "" } = ending ?? {};
  return {
    reason,
    detail,
    exit: { code: exit?.code ?? null, signal: exit?.signal === undefined ? null : signalName(exit.signal) },
    stdout,
    stderr,
    truncated: stdout.truncated || stderr.truncated || meters.stdout.exceeded || meters.stderr.exceeded,
    usage: { wallMs, cpuMs: exit === undefined ? null : exit.userMs + exit.systemMs, memoryPeak: exit?.maxRssBytes ?? null },
  };
}

function watchSignal(signal: AbortSignal | undefined, ending: EndingRace): Disposable {
  return onceAborted(signal, () => ending.settle({ reason: "interrupted", detail: "The caller gave the command up." }));
}

type Watched = { readonly command: Command; readonly ending: EndingRace; readonly number: number; readonly limits: CommandLimits };

/** The command's exit, by itself or because it was told to; `undefined` when it could not be seen any more. */
async function untilExit(live: LiveSandbox, { command, ending, number, limits }: Watched): Promise<CommandExit | undefined> {
  const { record } = live;
  try {
    const started = await ending.unlessEnded(command.started);
    if (started !== undefined) record.emit({ type: "exec.started", pid: started.pid, exec: number });
    using _deadline = armDeadline(ending, limits.timeoutMs);
    const exit = await ending.unlessEnded(command.exited);
    return exit ?? (await endCommand(live, command, limits.killAfterMs));
  } catch (error) {
    const loss = await endingOfFailure(record, error);
    if (record.loss === undefined && record.ending.current() === undefined) throw toSandboxError(error);
    ending.settle(record.ending.current() ?? loss);
    return undefined;
  }
}

type Ended = { readonly exit: CommandExit | undefined; readonly oomKillsBefore: Promise<number> };

/** Why a command that nothing else ended has ended: the kernel's count of out-of-memory kills has grown, or it is a plain exit. */
async function endingOf({ session }: LiveSandbox, { exit, oomKillsBefore }: Ended) {
  const killed = exit?.signal === signalNumber("SIGKILL") || exit?.code === 128 + signalNumber("SIGKILL");
  const stats = killed ? await session.stats().catch(() => undefined) : undefined;
  const isOom = oomKills(stats) > (await oomKillsBefore);
  return endingOfExit({ exit, stats: isOom ? stats : undefined });
}
