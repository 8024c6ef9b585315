import type { Readable } from "node:stream";
import { setTimeout as delay } from "node:timers/promises";
import { SandboxError, systemCode } from "../core/errors.ts";
import { signalName } from "../core/signals.ts";
import { formatDuration, formatSize } from "../core/units.ts";
import type { Command } from "../guest/command.ts";
import type { Session } from "../guest/session.ts";
import type { RunContext } from "./context.ts";
import type { Plan } from "./decide.ts";
import { openEgress } from "./egress.ts";
import { endingOfError } from "./ending.ts";
import { feedInput } from "./feed-input.ts";
import { reportLimits } from "./limits.ts";
import type { OutputMeter } from "./output-meter.ts";
import type { RunRecord } from "./record.ts";
import { endCommand } from "./terminate.ts";

/**
 * Runs the command to its end, whatever that is, and leaves the sandbox with no process but the guest. Answers whether the
 * sandbox can still be asked for files.
 */
export async function execute(
  record: RunRecord,
  plan: Plan,
  live: { readonly session: Session; readonly context: RunContext },
): Promise<boolean> {
  const { session, context } = live;
  const { task, ending } = record;
  const egress = await openEgress(record, plan.egress, { session, context });
  record.egress = egress;
  const command = session.exec({
    argv: task.command,
    env: { ...environmentOf(record, plan), ...egress.env, ...task.env },
    cwd: task.workdir,
    stdin: context.stdin !== undefined,
    terminal: task.terminal ? (context.terminal ?? { rows: 24, columns: 80 }) : undefined,
  });
  context.terminal?.onResize((size) => command.resize(size));
  const started = await ending.unlessEnded(command.started);
  const input = feedInput(context.stdin, command.stdin);
  const output = Promise.all([
    drain(command.stdout, { name: "stdout", meter: record.stdout, record, context }),
    drain(command.stderr, { name: "stderr", meter: record.stderr, record, context }),
  ]);
  if (started !== undefined) {
    record.emit({ type: "exec.started", pid: started.pid });
    await awaitExit(record, command);
  }
  input.stop();
  const usable = await endCommand(record, { session, command, forced: context.interrupts?.forced });
  if (usable) await takeStock(record, { session, output, forced: context.interrupts?.forced });
  return usable;
}

/** Waits for the command's own end or another reason, and measures how long that took. */
async function awaitExit(record: RunRecord, command: Command): Promise<void> {
  const from = performance.now();
  using _deadline = armDeadline(record);
  record.exit = await record.ending.unlessEnded(command.exited);
  record.wallMs = performance.now() - from;
}

/** After any end but its own, what a command wrote waits this long for a reader that has stopped reading. */
const DRAIN_MS = 2_000;

type Stock = { readonly session: Session; readonly output: Promise<unknown>; readonly forced: AbortSignal | undefined };

/** When nothing runs any more: takes what was still written, and counts what was used. */
async function takeStock(record: RunRecord, { session, output, forced }: Stock): Promise<void> {
  await Promise.race([
    output,
    aborted(forced),
    ...(record.ending.current() === undefined ? [] : [delay(DRAIN_MS, undefined, { ref: false })]),
  ]);
  record.stats = await session.stats();
  reportLimits(record);
  const { exit } = record;
  record.emit({
    type: "exec.exited",
    code: exit?.code ?? null,
    signal: exit?.signal === undefined ? null : signalName(exit.signal),
  });
}

const DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** Exactly what was asked for, and the three names without which hardly any program works. */
function environmentOf({ task }: RunRecord, plan: Plan): Record<string, string> {
  const terminal = task.terminal ? { TERM: "xterm-256color" } : {};
  return { PATH: plan.image.path ?? DEFAULT_PATH, HOME: "/tmp", ...terminal };
}

function armDeadline(record: RunRecord): Disposable {
  const { timeoutMs } = record.task.quotas;
  const timer = setTimeout(
    () => {
      record.ending.settle({
        reason: "timeout",
        detail: `The command ran longer than ${formatDuration(timeoutMs)}; --timeout raises the limit.`,
      });
    },
    Math.min(timeoutMs, 2 ** 31 - 1),
  );
  return { [Symbol.dispose]: () => clearTimeout(timer) };
}

type Drain = { readonly name: "stdout" | "stderr"; readonly meter: OutputMeter; readonly record: RunRecord; readonly context: RunContext };

/** Takes one output stream to its end, to its limit, or until the caller's reader is gone: then the writer inside sees EPIPE, as it would anywhere. */
async function drain(stream: Readable, { name, meter, record, context }: Drain): Promise<void> {
  try {
    for await (const piece of stream as AsyncIterable<Buffer>) {
      const taken = meter.take(piece);
      if (taken.length > 0) await context.onOutput?.(name, taken);
      if (!meter.exceeded) continue;
      const limit = formatSize(record.task.quotas.outputBytes);
      record.ending.settle({
        reason: "output-limit",
        detail: `The command wrote more than ${limit} to ${name}; --max-output raises the limit.`,
      });
      return;
    }
  } catch (error) {
    const isLost = error instanceof SandboxError;
    if (!isLost && systemCode(error) !== "EPIPE") record.ending.settle(endingOfError(outputFailure(name, error)));
  }
}

function outputFailure(name: string, cause: unknown): SandboxError {
  const message = cause instanceof Error ? cause.message : String(cause);
  return new SandboxError(
    "OUTPUT_BROKEN",
    `The command's ${name} can't be written: ${message}.`,
    "Free space or choose another place for the output.",
    { cause },
  );
}

function aborted(signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted === true) resolve();
    signal?.addEventListener("abort", () => resolve(), { once: true });
  });
}
