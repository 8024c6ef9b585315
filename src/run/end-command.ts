import { signalNumber } from "../core/signals.ts";
import type { Command, CommandExit } from "../guest/command.ts";
import type { Session } from "../guest/session.ts";
import { endingOfFailure } from "./diagnose.ts";
import { firstOf } from "./first-of.ts";
import type { RunRecord } from "./record.ts";
import { unresponsive } from "./terminate.ts";

type Living = { readonly session: Session; readonly record: RunRecord };

/** Long enough for the kernel on an overloaded machine. */
const KILL_MS = 5_000;

/**
 * Ends one command in an open sandbox and nothing else: SIGTERM to its process group, SIGKILL to every process of it that is left when the first one has ended,
 * after `killAfterMs` at the latest. Answers how the first one ended, where that could be seen.
 */
export async function endCommand(live: Living, command: Command, killAfterMs: number): Promise<CommandExit | undefined> {
  command.signal(signalNumber("SIGTERM"));
  const exit = await firstOf(command.exited, killAfterMs);
  await sweepCommand(live, command);
  return exit ?? firstOf(command.exited, KILL_MS);
}

/** Leaves no process of the command. Where that can't be seen, in a sandbox that is frozen or whose guest was made useless, the sandbox ends and nothing of it is left. */
export async function sweepCommand({ session, record }: Living, command: Command): Promise<void> {
  const swept = session.sweep(command.id).then(() => true);
  if ((await firstOf(swept, KILL_MS)) === true || record.ending.current() !== undefined) return;
  record.ending.settle(await endingOfFailure(record, unresponsive()));
  await record.container?.destroy().catch(() => undefined);
}
