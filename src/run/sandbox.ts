import { type ErrorCode, SandboxError, toSandboxError } from "../core/errors.ts";
import type { Container } from "../engine/port.ts";
import { openSession, type Session } from "../guest/session.ts";
import { OUR_LABELS } from "../policy/task-fields.ts";
import type { RunContext } from "./context.ts";
import type { Plan } from "./decide.ts";
import { lostEnding } from "./diagnose.ts";
import type { RunRecord } from "./record.ts";

const HANDSHAKE_MS = 10_000;

/** Errors after which nobody knows whether the engine has carried out what it was asked. */
const UNCERTAIN: readonly ErrorCode[] = ["ENGINE_LOST", "ENGINE_TIMEOUT", "NOT_AN_ENGINE"];

/** Makes the container; it is in the record from the moment on that it exists. One that comes too late for the caller's patience is destroyed. */
export async function createSandbox(record: RunRecord, plan: Plan, { engine, interrupts }: RunContext): Promise<void> {
  const { run, task } = record;
  const nothing = record.destroyed;
  record.destroyed = { destroyed: false, proof: "the engine has not said whether it made the container" };
  try {
    record.container = await engine.create({ run, image: plan.image, posture: plan.posture, labels: theirs(task.labels), keep: task.keep });
  } catch (error) {
    if (!UNCERTAIN.includes(toSandboxError(error).code)) record.destroyed = nothing;
    throw error;
  }
  if (interrupts?.forced.aborted === true) return void record.container.destroy().catch(() => undefined);
  record.emit({ type: "sandbox.created", container: record.container.id, image: plan.image.id });
}

/** The user's own labels. Ours of a task, such as a batch's, are about its result: with them, a container that waits for any task would fit none. */
function theirs(labels: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(labels).filter(([name]) => !name.startsWith(OUR_LABELS)));
}

/** Attaches to the container before it starts, starts it, and shakes hands with the guest. */
export async function startSandbox(record: RunRecord): Promise<Session> {
  const container = existing(record);
  const { phases, ending } = record;
  const pipe = await phases.time("attach", () => container.attach());
  const watch = ["/workspace", "/tmp", "/dev/shm"];
  return phases.time("start", async () => {
    const opening = openSession(pipe, { watch });
    opening.catch(() => undefined);
    await container.start();
    const session = await within(opening, HANDSHAKE_MS, container);
    record.emit({ type: "sandbox.started" });
    void session.lost.then((error) => {
      if (ending.current() !== undefined) return;
      record.loss = lostEnding(container, error);
      void record.loss.then((loss) => ending.settle(loss));
    });
    return session;
  });
}

/** Destroys the container, if there is one, and records what proves it. Never throws: what failed is part of the record. */
export async function destroySandbox(record: RunRecord): Promise<void> {
  record.egress?.close();
  if (record.container === undefined) return;
  try {
    record.destroyed = await record.container.destroy();
    record.emit({ type: "sandbox.destroyed", proof: record.destroyed.proof });
  } catch (error) {
    const failure = toSandboxError(error);
    record.destroyed = { destroyed: false, proof: failure.message };
    record.ending.settle({
      reason: failure.code === "ENGINE_LOST" ? "engine-lost" : "failed",
      detail: failure.message,
      error: failure.report(),
      status: failure.exitStatus,
    });
  }
}

function existing(record: RunRecord): Container {
  if (record.container === undefined) throw new SandboxError("INTERNAL", "There is no container yet.", "Report this as a bug.");
  return record.container;
}

async function within(opening: Promise<Session>, milliseconds: number, container: Container): Promise<Session> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => {
      reject(
        new SandboxError(
          "GUEST_LOST",
          `The guest did not answer within ${milliseconds / 1000} s.`,
          "Run `sandbox doctor`; the machine may be overloaded.",
        ),
      );
    }, milliseconds);
  });
  try {
    return await Promise.race([opening, late]);
  } catch (error) {
    const said = container.diagnostics().trim();
    if (said === "") throw error;
    throw new SandboxError("START_FAILED", `The guest did not start: ${said}.`, "Run `sandbox doctor`.", { cause: error });
  } finally {
    clearTimeout(timer);
  }
}
