import { createReadStream } from "node:fs";
import { appendFile } from "node:fs/promises";
import { isSuccess } from "../batch/outcomes.ts";
import type { Report } from "../batch/run-batch.ts";
import { rowsOf } from "../batch/write-summary.ts";
import { formatDuration } from "../core/units.ts";
import { sanitiseLine } from "../output/sanitise.ts";
import { printTable } from "./table.ts";

export type BatchReporting = {
  /** Path of the summary that was written. */
  readonly summary: string;
  /** File for a JUnit report. */
  readonly junit: string | undefined;
  readonly json: boolean;
  readonly env: Readonly<Record<string, string | undefined>>;
};

/** Says what a batch came to: on standard output, in a JUnit report, and where GitHub Actions shows it. Throws `RESULT_UNWRITABLE`. */
export async function reportBatch(report: Report, { summary, junit, json, env }: BatchReporting): Promise<void> {
  if (junit !== undefined) await (await import("../batch/write-junit.ts")).writeJunit(report, junit);
  await reportToGithub(report, env);
  if (json) for await (const piece of createReadStream(summary) as AsyncIterable<Buffer>) await write(piece);
  else await printOutcomes(report);
}

/** The job's summary is a file to append to; annotations are lines of the log, beside the results on standard output. */
async function reportToGithub(report: Report, env: BatchReporting["env"]): Promise<void> {
  const summaryFile = env["GITHUB_STEP_SUMMARY"] ?? "";
  if (summaryFile === "" && env["GITHUB_ACTIONS"] !== "true") return;
  const { annotations, jobSummary } = await import("../batch/github.ts");
  if (env["GITHUB_ACTIONS"] === "true") for await (const line of annotations(report)) process.stderr.write(line);
  if (summaryFile === "") return;
  await appendFile(summaryFile, await jobSummary(report)).catch((error: unknown) => {
    process.stderr.write(`sandbox: the job summary can't be written: ${sanitiseLine(String(error))}\n`);
  });
}

const EXAMPLES = 3;

/** How many tasks ended in which way, and the first of each. */
async function printOutcomes(report: Report): Promise<void> {
  const ways = new Map<string, { count: number; readonly ids: string[] }>();
  for await (const row of rowsOf(report)) {
    const name = row.reason !== "completed" ? row.reason : isSuccess(row) ? "completed" : "completed, exit not 0";
    const way = ways.get(name) ?? { count: 0, ids: [] };
    ways.set(name, way);
    way.count += 1;
    if (name !== "completed" && way.ids.length < EXAMPLES) way.ids.push(row.id);
  }
  const rows = [...ways].map(([name, { count, ids }]) => [
    name,
    String(count),
    ids.join(", ") + (count > ids.length && ids.length > 0 ? ", …" : ""),
  ]);
  printTable(["outcome", "tasks", "such as"], rows);
  const time = formatDuration(report.ended.getTime() - report.started.getTime());
  process.stdout.write(`${report.outcomes.succeeded()} of ${report.outcomes.total} succeeded in ${time}: ${sanitiseLine(report.out)}\n`);
}

function write(piece: Buffer): Promise<void> {
  return new Promise((resolve) => {
    if (process.stdout.write(piece)) resolve();
    else process.stdout.once("drain", resolve);
  });
}
