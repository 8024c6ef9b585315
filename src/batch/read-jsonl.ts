import { badBatch } from "./bad-batch.ts";
import { findDuplicateKey } from "./find-duplicate-key.ts";
import { readLines } from "./read-lines.ts";
import type { TaskBytes, TaskItem } from "./task-item.ts";

/** One JSON value a line (JSON Lines); empty lines are passed over. Throws `BAD_BATCH`. */
export async function* readJsonl({ bytes, source }: TaskBytes): AsyncGenerator<TaskItem> {
  for await (const { line, text } of readLines(bytes, source)) {
    if (text.trim() === "") continue;
    const place = { source, line };
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch {
      throw badBatch(place, { sentence: "the line is not JSON", hint: "Write one JSON object a line, without a comma behind it." });
    }
    const twice = findDuplicateKey(text);
    if (twice !== undefined)
      throw badBatch(place, { sentence: `the key ${JSON.stringify(twice)} stands twice in one object`, hint: "Keep one of them." });
    yield { line, value };
  }
}
