import { join } from "node:path";
import { writeWhole } from "../files/write-whole.ts";
import { SUMMARY_FILE } from "./batch-task-schema.ts";
import type { Report } from "./run-batch.ts";
import type { Summary, SummaryRow } from "./summary.ts";

/** Every task with what became of it, in the order of the list. */
export async function* rowsOf({ tasks, outcomes }: Report): AsyncGenerator<SummaryRow> {
  for await (const { index, task } of tasks.read()) yield { id: task.id, ...outcomes.get(index) };
}

/** What a summary says of all tasks together. */
export function headOf({ started, ended, outcomes }: Report): Omit<Summary, "tasks"> {
  return {
    schema: "sandbox.batch/1",
    started: started.toISOString(),
    ended: ended.toISOString(),
    total: outcomes.total,
    succeeded: outcomes.succeeded(),
    counts: outcomes.counts(),
  };
}

/** Writes `summary.json`, one task a line, in memory that does not grow with them. Answers its path. Throws `RESULT_UNWRITABLE`. */
export async function writeSummary(report: Report): Promise<string> {
  const path = join(report.out, SUMMARY_FILE);
  await writeWhole(path, inPieces(summaryText(report)));
  return path;
}

async function* summaryText(report: Report): AsyncGenerator<string> {
  yield `${JSON.stringify(headOf(report)).slice(0, -1)},"tasks":[`;
  let comma = "\n";
  for await (const row of rowsOf(report)) {
    yield comma + JSON.stringify(row);
    comma = ",\n";
  }
  yield "\n]}\n";
}

const PIECE = 64 * 1024;

/** Joins small texts, so that each of them does not become a write of its own. */
export async function* inPieces(texts: AsyncIterable<string>): AsyncGenerator<string> {
  let piece = "";
  for await (const text of texts) {
    piece += text;
    if (piece.length < PIECE) continue;
    yield piece;
    piece = "";
  }
  yield piece;
}
