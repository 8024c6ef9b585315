import { open } from "node:fs/promises";
import { join } from "node:path";
import { isSuccess } from "./outcomes.ts";
import type { Report } from "./run-batch.ts";
import type { SummaryRow } from "./summary.ts";
import { readFinished } from "./task-directory.ts";
import { rowsOf } from "./write-summary.ts";

/** A task that did not do what it should, and what its result says about it. `detail` is untrusted text. */
export type Failure = { readonly row: SummaryRow; readonly detail: string };

/** The failures of a batch in the order of the list. */
export async function* failuresOf(report: Report): AsyncGenerator<Failure> {
  for await (const row of rowsOf(report)) if (!isSuccess(row)) yield { row, detail: await detailOf(report.out, row) };
}

/** Why a task did not succeed, in one sentence. */
export async function detailOf(out: string, { id, reason, exit }: SummaryRow): Promise<string> {
  if (reason === "not-run") return "The batch ended before its turn.";
  if (reason === "interrupted") return "It was under way when the batch was interrupted.";
  if (reason === "completed") return exit.signal === null ? `Its exit status is ${exit.code ?? "unknown"}.` : `It died of ${exit.signal}.`;
  return (await readFinished(out, id))?.detail ?? "Its result can't be read.";
}

/** The last bytes that a task wrote to standard error; nothing where there is no such file. */
export async function tailOfStderr(out: string, id: string, most: number): Promise<Buffer> {
  try {
    await using file = await open(join(out, id, "stderr"));
    const { size } = await file.stat();
    const length = Math.min(size, most);
    const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, size - length);
    return buffer.subarray(0, bytesRead);
  } catch {
    return Buffer.alloc(0);
  }
}
