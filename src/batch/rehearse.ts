import { createRunId } from "../core/ids.ts";
import type { Task } from "../policy/task.ts";
import type { RunContext } from "../run/context.ts";
import { decide } from "../run/decide.ts";
import { watchInterrupts } from "../run/interrupts.ts";
import { openRecord } from "../run/record.ts";
import type { BatchEvent } from "./events.ts";

/**
 * Judges what all tasks have in common against this machine and the engine, and gets the image, before any of them starts: what would fail for all fails
 * once. Answers a context in which every task finds the very image that was found here, whatever becomes of its name. Throws what `decide` throws.
 */
export async function rehearse(common: Task, context: RunContext, onEvent: (event: BatchEvent) => void): Promise<RunContext> {
  const record = openRecord(
    { ...common, artifacts: [], out: undefined, patch: undefined },
    {
      run: createRunId(),
      keepOutput: false,
      onEvent: (event) => {
        if (event.type === "image.pulling") onEvent({ type: "image.pulling", image: event.image, progress: event.progress });
      },
    },
  );
  using _interrupts = watchInterrupts(record, context.interrupts);
  const { image } = await decide(record, context);
  const { engine } = context;
  return { ...context, engine: { ...engine, findImage: (ref) => (ref === image.ref ? Promise.resolve(image) : engine.findImage(ref)) } };
}
