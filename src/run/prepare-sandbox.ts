import type { Session } from "../guest/session.ts";
import type { RunContext } from "./context.ts";
import { copyIn } from "./copy-in.ts";
import { decide, type Plan } from "./decide.ts";
import type { RunRecord } from "./record.ts";
import { createSandbox, startSandbox } from "./sandbox.ts";

/** A sandbox with its files inside, in which nothing has run yet. */
export type Prepared = { readonly plan: Plan; readonly session: Session };

/** From a task to a sandbox that waits for its first command; `undefined` once there is a reason to end. Whatever comes of it, destroy what is in the record. */
export async function prepareSandbox(record: RunRecord, context: RunContext): Promise<Prepared | undefined> {
  const { phases, ending } = record;
  const plan = await phases.time("decide", () => decide(record, context));
  if (ending.current() !== undefined) return undefined;

  await phases.time("create", () => createSandbox(record, plan, context));
  if (ending.current() !== undefined) return undefined;
  const session = await startSandbox(record);
  if (ending.current() !== undefined) return undefined;

  await phases.time("copyIn", () => copyIn(record, plan, session));
  return ending.current() === undefined ? { plan, session } : undefined;
}
