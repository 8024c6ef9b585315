import { formatDuration } from "../core/units.ts";
import { sanitiseLine } from "../output/sanitise.ts";
import { failuresOf } from "./failures.ts";
import type { Report } from "./run-batch.ts";
import { headOf } from "./write-summary.ts";

/** How many failures are written out: GitHub shows ten annotations of a step, and a summary has to be read. */
const MOST_ANNOTATIONS = 10;
const MOST_ROWS = 100;
const LONGEST = 300;

/** A batch as a job summary for GitHub Actions: Markdown in which nothing that a run said means anything. */
export async function jobSummary(report: Report): Promise<string> {
  const { total, succeeded, counts } = headOf(report);
  const time = formatDuration(report.ended.getTime() - report.started.getTime());
  const reasons = Object.entries(counts).map(([reason, count]) => `| ${reason} | ${count} |\n`);
  const head = `### sandbox batch: ${succeeded} of ${total} succeeded\n\n${time}.\n\n| reason | tasks |\n|---|---:|\n${reasons.join("")}`;
  if (succeeded === total) return `${head}\n`;
  let rows = "";
  let shown = 0;
  for await (const { row, detail } of failuresOf(report)) {
    if (shown === MOST_ROWS) break;
    shown += 1;
    rows += `| ${escapeMarkdown(row.id)} | ${row.reason} | ${escapeMarkdown(oneLine(detail))} |\n`;
  }
  const more = total - succeeded - shown;
  return `${head}\n| task | reason | why |\n|---|---|---|\n${rows}${more > 0 ? `\nAnd ${more} more.\n` : ""}\n`;
}

/** The failures of a batch as workflow commands, one a line. */
export async function* annotations(report: Report): AsyncGenerator<string> {
  let shown = 0;
  for await (const { row, detail } of failuresOf(report)) {
    if (row.reason === "not-run") continue;
    if (shown === MOST_ANNOTATIONS) return;
    shown += 1;
    yield `::error title=${escapeProperty(`sandbox batch: ${row.id}`)}::${escapeData(withoutCommands(oneLine(`${row.reason}: ${detail}`)))}\n`;
  }
}

/** Text for a log that the runner of GitHub Actions reads: it takes `##[` for the beginning of a command wherever it stands in a line. */
export function withoutCommands(text: string): string {
  return text.replace(/##(?=\[)/g, "## ");
}

function oneLine(text: string): string {
  const line = sanitiseLine(text);
  return line.length > LONGEST ? `${line.slice(0, LONGEST)}…` : line;
}

/** Every sign that could mean something in Markdown, behind a backslash (CommonMark 2.4); a backslash in front of any other is text. */
function escapeMarkdown(text: string): string {
  return text.replace(/[!-/:-@[-`{-~]/g, "\\$&");
}

/** The message of a workflow command, as the runner takes it apart. */
function escapeData(text: string): string {
  return text.replaceAll("%", "%25").replaceAll("\r", "%0D").replaceAll("\n", "%0A");
}

function escapeProperty(text: string): string {
  return escapeData(text).replaceAll(":", "%3A").replaceAll(",", "%2C");
}
