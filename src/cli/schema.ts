import { batchTaskJsonSchema } from "../batch/batch-task-schema.ts";
import { summaryJsonSchema } from "../batch/summary-schema.ts";
import { SandboxError } from "../core/errors.ts";
import { taskFileJsonSchema } from "../policy/file/keys.ts";
import { resultJsonSchema } from "../run/result-schema.ts";
import type { Invocation } from "./invocation.ts";

const SCHEMAS = new Map<string, () => object>([
  ["result", resultJsonSchema],
  ["task", taskFileJsonSchema],
  ["batch", batchTaskJsonSchema],
  ["batch-summary", summaryJsonSchema],
]);

/** `sandbox schema NAME`: the JSON Schema (draft 2020-12) of one of our documents. */
export async function schema({ words }: Invocation): Promise<number> {
  const name = words[0] ?? "";
  const found = SCHEMAS.get(name);
  if (found === undefined)
    throw new SandboxError("USAGE", `There is no schema "${name}".`, `Choose one of: ${[...SCHEMAS.keys()].join(", ")}.`);
  process.stdout.write(`${JSON.stringify(found(), null, 2)}\n`);
  return Promise.resolve(0);
}
