import { randomBytes } from "node:crypto";
import { closeSync, openSync, read, unlinkSync, writeSync } from "node:fs";
import { promisify } from "node:util";
import { besides } from "../files/outputs.ts";
import type { BatchTask } from "./batch-task.ts";
import { readLines } from "./read-lines.ts";
import { writing } from "./unwritable.ts";

const UNWRITABLE = {
  sentence: "The list of tasks can't be kept beside --out",
  hint: "Choose a place that you may write to and that has room.",
} as const;

/** A task that has passed every judgement, its place in the list from 0, and its line. */
export type SpooledTask = { readonly index: number; readonly line: number; readonly task: BatchTask };

/** The judged tasks on disk: what is run is what was judged, whatever becomes of the file that they came from. */
export type Spool = Disposable & {
  append(task: Omit<SpooledTask, "index">): void;
  readonly count: number;
  /** All tasks in order, as often as it is called. */
  read(): AsyncGenerator<SpooledTask>;
};

const PIECE = 64 * 1024;
const readAt = promisify(read);

/** Opens a file without a name, in the directory of `path`: nothing is left of it however this process ends. Throws `OUT_UNWRITABLE`. */
export function openSpool(path: string): Spool {
  const file = openNameless(`${besides(path)}${randomBytes(9).toString("hex")}`);
  let waiting: string[] = [];
  let size = 0;
  let count = 0;

  function flush(): void {
    const bytes = Buffer.from(waiting.join(""));
    waiting = [];
    size = 0;
    for (let at = 0; at < bytes.length; ) at += writing(() => writeSync(file, bytes, at), UNWRITABLE);
  }

  return {
    get count() {
      return count;
    },
    append(task) {
      const line = `${JSON.stringify({ index: count, ...task })}\n`;
      waiting.push(line);
      size += line.length;
      count += 1;
      if (size >= PIECE) flush();
    },
    async *read() {
      flush();
      for await (const { text } of readLines(readPieces(file), "spool", Number.POSITIVE_INFINITY)) yield JSON.parse(text) as SpooledTask;
    },
    [Symbol.dispose]: () => closeSync(file),
  };
}

/** A stream would close the file when its reader stops early. */
async function* readPieces(file: number): AsyncGenerator<Buffer> {
  for (let position = 0; ; ) {
    const { buffer, bytesRead } = await readAt(file, Buffer.allocUnsafe(PIECE), 0, PIECE, position);
    if (bytesRead === 0) return;
    position += bytesRead;
    yield buffer.subarray(0, bytesRead);
  }
}

function openNameless(path: string): number {
  return writing(() => {
    const file = openSync(path, "wx+", 0o600);
    unlinkSync(path);
    return file;
  }, UNWRITABLE);
}
