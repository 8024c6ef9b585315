import { setTimeout as delay } from "node:timers/promises";
import type { Autopsy } from "../port.ts";
import { ASK_TIMEOUT, type Client } from "./client.ts";
import { flagAt, numberAt, objectAt, optionalStringAt } from "./json.ts";

/** A container that may be dying. */
export type Dying = {
  readonly id: string;
  /** Milliseconds that the engine is given to see its end. */
  readonly patience: number;
  /** Exit status of process 1 once the engine has removed the container. */
  readonly ended: Promise<number | undefined>;
};

/** A container whose pipe has just closed may still be dying: the engine is given `patience` ms to see its end. */
export async function examineContainer(client: Client, { id, patience, ended }: Dying): Promise<Autopsy | undefined> {
  if (patience > 0) {
    const stopped = client.ask({ method: "POST", path: `/containers/${id}/wait`, query: { condition: "not-running" }, timeout: patience });
    await stopped.catch(() => undefined);
  }
  const answer = await client.ask({ method: "GET", path: `/containers/${id}/json`, timeout: ASK_TIMEOUT });
  if (answer.status === 404) return gone(await Promise.race([ended, delay(patience, undefined, { ref: false })]));
  if (answer.status !== 200) return undefined;
  const state = objectAt(answer.body, "State");
  return {
    oomKilled: flagAt(state, "OOMKilled"),
    exitCode: numberAt(state, "ExitCode"),
    running: flagAt(state, "Running"),
    paused: flagAt(state, "Paused"),
    error: optionalStringAt(state, "Error") ?? "",
  };
}

/** Of a container that the engine has removed it said no more than the exit status. */
function gone(exitCode: number | undefined): Autopsy | undefined {
  return exitCode === undefined ? undefined : { oomKilled: false, exitCode, running: false, paused: false, error: "" };
}
