import { pipeline, Readable } from "node:stream";
import { CsvError, parse } from "csv-parse";
import type { SandboxError } from "../core/errors.ts";
import { badBatch, badBatchOf, type Place } from "./bad-batch.ts";
import { LARGEST_TASK, NOT_UTF8 } from "./read-lines.ts";
import type { TaskBytes, TaskItem } from "./task-item.ts";
import { fillTemplate, parseTemplate, type Template } from "./template.ts";

/** Columns that set what their name says, beside their use in the template. An empty cell sets nothing. */
const FIELDS = ["id", "stdin", "workspace", "timeout", "memory", "cpus", "pids", "disk", "allow"];

/** One task a row of CSV (RFC 4180) with a header, its command from the template. Without a column `id`, rows are counted. Throws `BAD_BATCH` and `USAGE`. */
export async function* readCsv({ bytes, source }: TaskBytes, template: string): AsyncGenerator<TaskItem> {
  let header: readonly string[] | undefined;
  let filled: Template | undefined;
  let row = 0;
  for await (const { line, cells } of readRows({ bytes, source })) {
    const place = { source, line };
    if (header === undefined || filled === undefined) {
      header = cells;
      filled = openTemplate(place, header, template);
      continue;
    }
    if (cells.length !== header.length)
      throw badBatch(place, {
        sentence: `the row has ${count(cells.length, "cell")}, the header ${header.length}`,
        hint: "Give every row as many cells as the header; put quotes around a cell with commas.",
      });
    row += 1;
    yield { line, value: taskOf({ header, cells, row }, filled) };
  }
}

function openTemplate(place: Place, header: readonly string[], text: string): Template {
  const empty = header.indexOf("");
  if (empty !== -1) throw badBatch(place, { sentence: `column ${empty + 1} has no name`, hint: "Name every column in the first line." });
  const twice = header.find((title, at) => header.indexOf(title) !== at);
  if (twice !== undefined)
    throw badBatch(place, { sentence: `two columns are called ${JSON.stringify(twice)}`, hint: "Give every column a name of its own." });
  const template = parseTemplateAt(place, header, text);
  const unused = header.find((title, at) => !template.columns.has(at) && !FIELDS.includes(title));
  if (unused !== undefined)
    throw badBatch(place, {
      sentence: `the column ${JSON.stringify(unused)} is used nowhere`,
      hint: `Use {${unused}} in the template or leave the column out; columns with a meaning are ${FIELDS.join(", ")}.`,
    });
  return template;
}

function parseTemplateAt(place: Place, header: readonly string[], text: string): Template {
  try {
    return parseTemplate(text, header);
  } catch (error) {
    throw badBatchOf(place, error);
  }
}

type Row = { readonly header: readonly string[]; readonly cells: readonly string[]; readonly row: number };

function taskOf({ header, cells, row }: Row, template: Template): Readonly<Record<string, unknown>> {
  const fields = header.flatMap((title, at): [string, unknown][] => {
    const cell = cells[at] ?? "";
    if (!FIELDS.includes(title) || (cell === "" && title !== "id")) return [];
    return [[title, title === "allow" ? [cell] : cell]];
  });
  return { id: String(row), ...Object.fromEntries(fields), command: fillTemplate(template, cells) };
}

type CsvRecord = { readonly record: readonly string[]; readonly info: { readonly lines: number } };

/** Rows with the line that they begin in. */
async function* readRows({ bytes, source }: TaskBytes): AsyncGenerator<{ readonly line: number; readonly cells: readonly string[] }> {
  const parser = parse({
    info: true,
    relax_column_count: true,
    skip_empty_lines: true,
    max_record_size: LARGEST_TASK,
    record_delimiter: ["\r\n", "\n"],
  });
  pipeline(Readable.from(decodeText({ bytes, source })), parser, () => undefined);
  let read = 0;
  try {
    for await (const { record, info } of parser as AsyncIterable<CsvRecord>) {
      const within = record.reduce((sum, cell) => sum + (cell.match(/\n/g)?.length ?? 0), 0);
      yield { line: info.lines - within, cells: record };
      read = info.lines;
    }
  } catch (error) {
    throw error instanceof CsvError ? badCsv({ source, line: read + 1 }, error) : error;
  }
}

async function* decodeText({ bytes, source }: TaskBytes): AsyncGenerator<string> {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  let line = 1;
  for await (const piece of bytes) {
    let text = "";
    for (let from = 0; from < piece.length; ) {
      const end = piece.indexOf(0x0a, from) + 1 || piece.length;
      const part = piece.subarray(from, end);
      text += decoded({ source, line }, () => decoder.decode(part, { stream: true }));
      if (piece[end - 1] === 0x0a) line += 1;
      from = end;
    }
    yield text;
  }
  yield decoded({ source, line }, () => decoder.decode());
}

function decoded(place: Place, decode: () => string): string {
  try {
    return decode();
  } catch {
    throw badBatch(place, NOT_UTF8);
  }
}

/** The line is the first one that has not been read as a row. */
function badCsv(place: Place, error: CsvError): SandboxError {
  if (error.code === "CSV_QUOTE_NOT_CLOSED")
    return badBatch(place, {
      sentence: "a quote is opened from here on and never closed",
      hint: "Close it, or double it where it is part of a cell.",
    });
  if (error.code === "CSV_MAX_RECORD_SIZE")
    return badBatch(place, { sentence: "the row is longer than 16 MiB", hint: "Close its quote, or pass data as a file in a workspace." });
  return badBatch(place, {
    sentence: "from here on a quote stands where none can",
    hint: 'Put quotes around the whole cell, and double those in it: "say ""hi""".',
  });
}

function count(number: number, what: string): string {
  return `${number} ${what}${number === 1 ? "" : "s"}`;
}
