import { createReadStream } from "node:fs";
import { extname } from "node:path";
import type { Readable } from "node:stream";
import { SandboxError, systemCode } from "../core/errors.ts";
import { showName } from "../files/visible-name.ts";
import { badBatch } from "./bad-batch.ts";
import type { BatchTask } from "./batch-task.ts";
import { readBatchTask } from "./batch-task-schema.ts";
import type { TaskBytes, TaskItem } from "./task-item.ts";

/** The list of tasks as the caller named it. */
export type TaskSource = {
  /** A file whose name ends in .jsonl, .ndjson, .yaml, .yml or .csv; `-` for JSON Lines from `stdin`. */
  readonly path: string;
  readonly stdin: Readable;
  /** What `stdin` is called in sentences, where it is not standard input. */
  readonly name?: string;
  /** The command of every row of a CSV file. */
  readonly template: string | undefined;
};

export type TaskLine = { readonly line: number; readonly task: BatchTask };

/** Reads the tasks one after the other, each with the shape that a task has. Throws `BAD_BATCH` with the first line that is wrong, and `USAGE`. */
export async function* readTasks(source: TaskSource): AsyncGenerator<TaskLine> {
  for await (const { line, value } of await openItems(source)) {
    const read = readBatchTask(value);
    if ("fault" in read) throw badBatch({ source: nameOf(source), line }, read.fault);
    yield { line, task: read.task };
  }
}

/** What the list is called in sentences. */
export function nameOf({ path, name = "standard input" }: TaskSource): string {
  return path === "-" ? name : path;
}

/** Chooses by the name alone: nothing is guessed from the content. */
async function openItems(source: TaskSource): Promise<AsyncIterable<TaskItem>> {
  const { path, template } = source;
  const extension = path === "-" ? ".jsonl" : extname(path).toLowerCase();
  if (template !== undefined && extension !== ".csv")
    throw new SandboxError(
      "USAGE",
      `--template is for CSV, and "${showName(path)}" is none.`,
      "Leave it out, or name a file that ends in .csv.",
    );
  switch (extension) {
    case ".jsonl":
    case ".ndjson":
      return (await import("./read-jsonl.ts")).readJsonl(openBytes(source));
    case ".yaml":
    case ".yml":
      return (await import("./read-yaml.ts")).readYaml(openBytes(source));
    case ".csv":
      if (template !== undefined) return (await import("./read-csv.ts")).readCsv(openBytes(source), template);
      throw new SandboxError(
        "USAGE",
        "A CSV file has no commands by itself.",
        "Say what to run for each row: --template 'python run.py {name}'.",
      );
    default:
      throw new SandboxError(
        "USAGE",
        `"${showName(path)}" could be anything.`,
        "Name a file that ends in .jsonl, .ndjson, .yaml, .yml or .csv, or - for JSON Lines.",
      );
  }
}

function openBytes(source: TaskSource): TaskBytes {
  return { source: nameOf(source), bytes: source.path === "-" ? source.stdin : readFrom(source.path) };
}

async function* readFrom(path: string): AsyncGenerator<Buffer> {
  try {
    for await (const piece of createReadStream(path) as AsyncIterable<Buffer>) yield piece;
  } catch (error) {
    if (systemCode(error) === undefined || error instanceof SandboxError) throw error;
    throw new SandboxError(
      "BAD_BATCH",
      `The tasks in "${showName(path)}" can't be read (${systemCode(error) ?? ""}).`,
      "Name a file that exists and that you may read.",
    );
  }
}
