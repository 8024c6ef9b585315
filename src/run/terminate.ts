import { SandboxError } from "../core/errors.ts";
import { signalNumber } from "../core/signals.ts";
import type { Command } from "../guest/command.ts";
import type { Session } from "../guest/session.ts";
import type { Interrupts } from "./context.ts";
import { endingOfError } from "./ending.ts";
import { firstOf } from "./first-of.ts";
import type { RunRecord } from "./record.ts";

export type Termination = { readonly session: Session; readonly command: Command; readonly interrupts: Interrupts | undefined };

/** Killed processes are gone in milliseconds; when this passes, the container may be frozen. */
const USUAL_MS = 1_000;
/** How long the kernel may take on an overloaded machine. */
const PATIENT_MS = 5_000;

/**
 * Leaves no process but the guest: a command that still runs is asked to end, and after `--kill-after` everything is killed.
 * Answers whether the guest did so; if not, only destroying the container remains.
 */
export async function endCommand(record: RunRecord, termination: Termination): Promise<boolean> {
  const { command, interrupts } = termination;
  const forced = interrupts?.forced;
  const ending = record.ending.current();
  if (record.exit === undefined && ending !== undefined) {
    const named = ending.reason === "interrupted" ? signalNumber(String(interrupts?.gentle.reason)) : 0;
    command.signal(named === 0 ? signalNumber("SIGTERM") : named);
    record.exit = await firstOf(command.exited, record.task.quotas.killAfterMs, forced);
  }
  const quiet = await quiesce(record, termination);
  if (quiet) record.exit ??= await firstOf(command.exited, PATIENT_MS, forced);
  return quiet;
}

/** Has the guest kill everything. Where it can't, there is a reason to end: the pipe was lost, or nothing answers. */
async function quiesce(record: RunRecord, { session, interrupts }: Termination): Promise<boolean> {
  const forced = interrupts?.forced;
  if (forced?.aborted === true) return false;
  const quiesced = succeeds(session.quiesce());
  const quiet =
    (await firstOf(quiesced, USUAL_MS, forced)) ?? ((await isFrozen(record)) ? undefined : await firstOf(quiesced, PATIENT_MS, forced));
  if (quiet === false) await record.ending.first;
  if (quiet === undefined) record.ending.settle(endingOfError(unresponsive()));
  return quiet === true;
}

async function isFrozen({ container }: RunRecord): Promise<boolean> {
  const autopsy = await container?.autopsy(0).catch(() => undefined);
  return autopsy?.paused === true;
}

/** The error for processes that nothing ends. */
export function unresponsive(): SandboxError {
  return new SandboxError(
    "GUEST_LOST",
    "The sandbox's processes could not be ended.",
    "Look for an overloaded machine or a frozen container.",
  );
}

function succeeds(work: Promise<unknown>): Promise<boolean> {
  return work.then(
    () => true,
    () => false,
  );
}
