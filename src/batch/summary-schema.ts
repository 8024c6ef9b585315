import { z } from "zod";
import { exitSchema } from "../run/result-schema.ts";
import { RUN_REASONS } from "../run/run-reason.ts";
import type { BatchReason, Summary } from "./summary.ts";

/** Reasons that a run can have, and one more: the batch ended before the task's turn. */
export const BATCH_REASONS = [...RUN_REASONS, "not-run"] as const satisfies readonly BatchReason[];

const count = z.number().int().nonnegative();

const rowSchema = z.strictObject({
  id: z.string(),
  reason: z.enum(BATCH_REASONS).describe("Why the run ended, or not-run."),
  exit: exitSchema,
  durations: z
    .strictObject({ total: z.number().nonnegative(), execute: z.number().nonnegative() })
    .describe("Milliseconds of the last run, and of its command."),
  attempts: count.describe("How often it was started for this result; 0 for a task that was not run."),
  interruptions: count.describe("How often it was under way before when the batch was killed, and ran again."),
  earlier: z.boolean().describe("Whether the result is of an earlier batch that --resume went on with."),
});

/** What a batch came to, `sandbox.batch/1`. */
const summarySchema = z
  .strictObject({
    schema: z.literal("sandbox.batch/1"),
    started: z.iso.datetime(),
    ended: z.iso.datetime(),
    total: count.describe("Tasks in the list."),
    succeeded: count.describe("Those that completed with exit status 0."),
    counts: z.partialRecord(z.enum(BATCH_REASONS), count).describe("How many tasks ended for each reason."),
    tasks: z.array(rowSchema).describe("Every task once, in the order of the list."),
  })
  .describe("What a batch came to.") satisfies z.ZodType<Summary>;

/** The JSON Schema (draft 2020-12) of a summary. */
export function summaryJsonSchema(): object {
  return z.toJSONSchema(summarySchema);
}

/** What a batch reads again of the result of one of its tasks. */
const finishedSchema = z.object({
  schema: z.literal("sandbox.result/1"),
  labels: z.record(z.string(), z.string()),
  reason: z.enum(BATCH_REASONS),
  detail: z.string(),
  error: z.object({ code: z.string() }).optional(),
  exit: exitSchema,
  started: z.iso.datetime(),
  ended: z.iso.datetime(),
  phases: z.object({ execute: z.number() }),
});

export type Finished = z.infer<typeof finishedSchema>;

/** The parts of a result that a batch goes by, or `undefined` where the text is none. */
export function parseFinished(text: string): Finished | undefined {
  try {
    return finishedSchema.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}
