import { setImmediate } from "node:timers/promises";
import { SandboxError, toSandboxError } from "../core/errors.ts";
import type { Container } from "../engine/port.ts";
import type { GuestStats } from "../guest/stats.ts";
import { type Ending, endingOfError } from "./ending.ts";
import type { RunRecord } from "./record.ts";

const SIGKILL = 9;
/** The guest ends so when its input has ended, and never else: nobody ended it, and we did not. */
const GUEST_LEFT = 0;
/** How long the engine may take to notice the end of a container whose pipe is gone. */
const DYING_MS = 2_000;

/** Why the pipe to a running sandbox was lost: asks the engine what became of the container. */
export async function lostEnding(container: Container, error: SandboxError): Promise<Ending> {
  if (error.code !== "GUEST_LOST") return endingOfError(error);
  try {
    const autopsy = await container.autopsy(DYING_MS);
    if (autopsy?.oomKilled === true) return OUT_OF_MEMORY;
    if (autopsy?.running === true) return endingOfError(error);
    if (autopsy?.exitCode === GUEST_LEFT) return endingOfError(connectionLost(error));
    return {
      reason: "killed",
      detail: "The sandbox was ended from outside while the command ran.",
      error: error.report(),
      status: error.exitStatus,
    };
  } catch (cause) {
    const failure = toSandboxError(cause);
    return { ...endingOfError(failure), reason: "engine-lost" };
  }
}

function connectionLost(cause: SandboxError): SandboxError {
  return new SandboxError(
    "ENGINE_LOST",
    "The connection to the sandbox ended while the command ran, and the sandbox with it.",
    "Check the way to the engine, such as ssh, then run again.",
    { cause },
  );
}

/** The reason that a failed step stands for: what became of the container, where the pipe to it was lost. */
export async function endingOfFailure(record: RunRecord, thrown: unknown): Promise<Ending> {
  const failure = toSandboxError(thrown);
  await setImmediate();
  return (await record.loss) ?? endingOfError(failure);
}

/** Why a command that ended by itself did so: an out-of-memory kill is not a plain exit. */
export function endingOfExit({ exit, stats }: Pick<RunRecord, "exit" | "stats">): Ending {
  const killed = exit?.signal === SIGKILL || exit?.code === 128 + SIGKILL;
  if (killed && oomKills(stats) > 0) return OUT_OF_MEMORY;
  if (exit?.signal !== undefined) return { reason: "completed", detail: `The command died of signal ${exit.signal}.` };
  return { reason: "completed", detail: `The command exited with ${exit?.code ?? "no status"}.` };
}

export function oomKills(stats: GuestStats | undefined): number {
  return stats?.memory.oomKills ?? 0;
}

const OUT_OF_MEMORY: Ending = {
  reason: "oom",
  detail: "The command was killed because the sandbox ran out of memory; --memory raises the limit.",
};
