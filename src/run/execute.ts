import { setTimeout as delay } from "node:timers/promises";
import { signalName } from "../core/signals.ts";
import type { Command } from "../guest/command.ts";
import type { Session } from "../guest/session.ts";
import { carryOutput, DRAIN_MS } from "./carry-output.ts";
import { environmentOf } from "./command-environment.ts";
import type { RunContext } from "./context.ts";
import { armDeadline } from "./deadline.ts";
import type { Plan } from "./decide.ts";
import { openEgress } from "./egress.ts";
import { feedInput } from "./feed-input.ts";
import { reportLimits } from "./limits.ts";
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
    env: { ...environmentOf(plan.image, task), ...egress.env, ...task.env },
    cwd: task.workdir,
    stdin: context.stdin !== undefined,
    terminal: task.terminal ? (context.terminal ?? { rows: 24, columns: 80 }) : undefined,
  });
  context.terminal?.onResize((size) => command.resize(size));
  // Begun before the start is known, so that the end of an input that is not there travels with the request.
  const input = feedInput(context.stdin, { target: command.stdin, ending });
  const started = await ending.unlessEnded(command.started);
  const output = carryOutput(command, record, { ending, take: context.onOutput });
  if (started !== undefined) {
    record.emit({ type: "exec.started", pid: started.pid });
    await awaitExit(record, command);
  }
  input.stop();
  record.stats = await endCommand(record, { session, command, interrupts: context.interrupts });
  if (record.stats === undefined) return false;
  await takeStock(record, { output, forced: context.interrupts?.forced });
  return true;
}

/** Waits for the command's own end or another reason, and measures how long that took. */
async function awaitExit(record: RunRecord, command: Command): Promise<void> {
  const from = performance.now();
  using _deadline = armDeadline(record.ending, record.task.quotas.timeoutMs);
  record.exit = await record.ending.unlessEnded(command.exited);
  record.wallMs = performance.now() - from;
}

type Stock = { readonly output: Promise<unknown>; readonly forced: AbortSignal | undefined };

/** When nothing runs any more: takes what was still written, and tells what was used. */
async function takeStock(record: RunRecord, { output, forced }: Stock): Promise<void> {
  await Promise.race([
    output,
    aborted(forced),
    ...(record.ending.current() === undefined ? [] : [delay(DRAIN_MS, undefined, { ref: false })]),
  ]);
  reportLimits(record);
  const { exit } = record;
  record.emit({
    type: "exec.exited",
    code: exit?.code ?? null,
    signal: exit?.signal === undefined ? null : signalName(exit.signal),
  });
}

function aborted(signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted === true) resolve();
    signal?.addEventListener("abort", () => resolve(), { once: true });
  });
}
