import { SandboxError } from "../core/errors.ts";
import { signalNumber } from "../core/signals.ts";
import type { Command } from "../guest/command.ts";
import type { Session } from "../guest/session.ts";
import type { GuestStats } from "../guest/stats.ts";
import type { Interrupts } from "./context.ts";
import { endingOfError } from "./ending.ts";
import { firstOf } from "./first-of.ts";
import type { RunRecord } from "./record.ts";

export type Termination = { readonly session: Session; readonly command: Command; readonly interrupts: Interrupts | undefined };

/** Killed processes are gone in milliseconds; when this passes, the container may be frozen. */
const USUAL_MS = 1_000;
/** The pipe has ended. */
const LOST = "lost";
/** How long the kernel may take on an overloaded machine. */
const PATIENT_MS = 5_000;

/**
 * Leaves no process but the guest: a command that still runs is asked to end, and after `--kill-after` everything is killed.
 * Answers what the guest counted, or `undefined` where it could not do so: then only destroying the container remains.
 */
export async function endCommand(record: RunRecord, termination: Termination): Promise<GuestStats | undefined> {
  const { command, interrupts } = termination;
  const forced = interrupts?.forced;
  const ending = record.ending.current();
  if (record.exit === undefined && ending !== undefined) {
    const named = ending.reason === "interrupted" ? signalNumber(String(interrupts?.gentle.reason)) : 0;
    command.signal(named === 0 ? signalNumber("SIGTERM") : named);
    record.exit = await firstOf(command.exited, record.task.quotas.killAfterMs, forced);
  }
  const stats = await quiesce(record, termination);
  if (stats !== undefined) record.exit ??= await firstOf(command.exited, PATIENT_MS, forced);
  return stats;
}

/** Has the guest kill everything. Where it can't, there is a reason to end: the pipe was lost, or nothing answers. */
async function quiesce(record: RunRecord, { session, interrupts }: Termination): Promise<GuestStats | undefined> {
  const forced = interrupts?.forced;
  if (forced?.aborted === true) return undefined;
  const quiesced = session.quiesce().catch((): typeof LOST => LOST);
  const answer =
    (await firstOf(quiesced, USUAL_MS, forced)) ?? ((await isFrozen(record)) ? undefined : await firstOf(quiesced, PATIENT_MS, forced));
  if (answer === LOST) await record.ending.first;
  if (answer === undefined) record.ending.settle(endingOfError(unresponsive()));
  return answer === LOST ? undefined : answer;
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
