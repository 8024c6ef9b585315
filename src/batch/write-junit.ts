import { writeWhole } from "../files/write-whole.ts";
import { createSanitiser, sanitiseLine } from "../output/sanitise.ts";
import { detailOf, tailOfStderr } from "./failures.ts";
import { isSuccess } from "./outcomes.ts";
import type { Report } from "./run-batch.ts";
import type { BatchReason, SummaryRow } from "./summary.ts";
import { inPieces, rowsOf } from "./write-summary.ts";

/** The most of a task's standard error that stands in the report, in bytes. */
const TAIL = 16 * 1024;

/** Writes the batch as a JUnit report, each task a test case. Throws `RESULT_UNWRITABLE`. */
export async function writeJunit(report: Report, path: string): Promise<void> {
  await writeWhole(path, inPieces(junitText(report)));
}

/** In JUnit's words: the sandbox failed, or the task never got to its end, or it did and something was wrong. */
function kindOf(reason: BatchReason): "error" | "skipped" | "failure" {
  if (reason === "failed" || reason === "engine-lost") return "error";
  return reason === "not-run" || reason === "interrupted" || reason === "waiting" ? "skipped" : "failure";
}

async function* junitText(report: Report): AsyncGenerator<string> {
  const { outcomes, started, ended } = report;
  const counts = { error: 0, skipped: 0, failure: 0 };
  for (const [reason, count] of Object.entries(outcomes.counts()) as [BatchReason, number][]) counts[kindOf(reason)] += count;
  const totals = `tests="${outcomes.total}" failures="${counts.failure - outcomes.succeeded()}" errors="${counts.error}" skipped="${counts.skipped}"`;
  const time = seconds(ended.getTime() - started.getTime());
  yield `<?xml version="1.0" encoding="UTF-8"?>\n<testsuites ${totals} time="${time}">\n`;
  yield `<testsuite name="sandbox batch" ${totals} time="${time}" timestamp="${started.toISOString()}">\n`;
  for await (const row of rowsOf(report)) yield await caseOf(report, row);
  yield "</testsuite>\n</testsuites>\n";
}

async function caseOf({ out }: Report, row: SummaryRow): Promise<string> {
  const open = `<testcase classname="batch" name="${escapeXml(row.id)}" time="${seconds(row.durations.total)}"`;
  if (isSuccess(row)) return `${open}/>\n`;
  const kind = kindOf(row.reason);
  const message = `message="${escapeXml(sanitiseLine(await detailOf(out, row)))}"`;
  if (kind === "skipped") return `${open}><skipped ${message}/></testcase>\n`;
  const said = createSanitiser();
  const tail = escapeXml(said.write(await tailOfStderr(out, row.id, TAIL)) + said.end());
  return `${open}><${kind} type="${row.reason}" ${message}>${tail}</${kind}></testcase>\n`;
}

/** What XML 1.0 (section 2.2) has no character for, not even as a reference. */
const NOT_XML = /[^\t\n\r\x20-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/gu;
const ENTITIES: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&apos;" };

/** Text of unknown making for an element or an attribute in double quotes: it stays text, and what can't stand in XML becomes U+FFFD. */
function escapeXml(text: string): string {
  return text.replace(NOT_XML, "\ufffd").replace(/[&<>"']/g, (character) => ENTITIES[character] ?? "");
}

function seconds(milliseconds: number): string {
  return (milliseconds / 1000).toFixed(3);
}
