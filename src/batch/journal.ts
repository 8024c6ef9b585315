import { closeSync, createReadStream, fstatSync, openSync, writeSync } from "node:fs";
import { join } from "node:path";
import { systemCode } from "../core/errors.ts";
import { JOURNAL_FILE } from "./batch-task-schema.ts";
import { readLines } from "./read-lines.ts";
import { GO_ON_LATER, writing } from "./unwritable.ts";

const UNWRITABLE = { sentence: "The journal in --out can't be written", hint: GO_ON_LATER } as const;

/** Who writes a journal, in a form that says later whether that process still lives. */
export type Writer = { readonly pid: number; readonly start: string; readonly boot: string };

/** Says which tasks were started and which have results: what it calls started and not ended was under way when the process was killed. */
export type Journal = Disposable & {
  started(id: string): void;
  ended(id: string): void;
};

/** What the journal of earlier batches tells. */
export type Past = {
  /** How often each task was under way when a batch was killed; tasks that never were are left out. */
  readonly interruptions: ReadonlyMap<string, number>;
  /** Those that were when the last one was. */
  readonly underWay: ReadonlySet<string>;
  readonly writer: Writer | undefined;
};

/** Opens the journal in the directory `out` for one more batch. Every line is with the system before the act that it is about. Throws `OUT_UNWRITABLE`. */
export function openJournal(out: string, writer: Writer): Journal {
  const file = writing(() => openSync(join(out, JOURNAL_FILE), "a", 0o666), UNWRITABLE);
  const write = (entry: object): void =>
    void writing(() => writeSync(file, `${fstatSync(file).size === 0 ? "" : "\n"}${JSON.stringify(entry)}`), UNWRITABLE);
  write({ batch: "sandbox.batch-journal/1", t: new Date().toISOString(), writer });
  return {
    started: (id) => write({ started: id }),
    ended: (id) => write({ ended: id }),
    [Symbol.dispose]: () => closeSync(file),
  };
}

/** Reads what earlier batches wrote, in memory for what was interrupted only; `undefined` where there is no journal. */
export async function readJournal(out: string): Promise<Past | undefined> {
  const interruptions = new Map<string, number>();
  let underWay = new Set<string>();
  let writer: Writer | undefined;
  const interrupt = (): void => {
    for (const id of underWay) interruptions.set(id, (interruptions.get(id) ?? 0) + 1);
  };
  try {
    for await (const { text } of readLines(createReadStream(join(out, JOURNAL_FILE)) as AsyncIterable<Buffer>, JOURNAL_FILE)) {
      const entry = parseEntry(text);
      if (typeof entry["started"] === "string") underWay.add(entry["started"]);
      if (typeof entry["ended"] === "string") underWay.delete(entry["ended"]);
      if (entry["batch"] === undefined) continue;
      interrupt();
      underWay = new Set();
      writer = readWriter(entry["writer"]);
    }
  } catch (error) {
    if (systemCode(error) === "ENOENT") return undefined;
    throw error;
  }
  interrupt();
  return { interruptions, underWay, writer };
}

/** A line that a full disk or a loss of power has cut says nothing. */
function parseEntry(text: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? { ...value } : {};
  } catch {
    return {};
  }
}

function readWriter(value: unknown): Writer | undefined {
  if (typeof value !== "object" || value === null || !("pid" in value) || !("start" in value) || !("boot" in value)) return undefined;
  return { pid: Number(value.pid), start: String(value.start), boot: String(value.boot) };
}
