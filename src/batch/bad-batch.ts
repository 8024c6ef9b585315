import { SandboxError, toSandboxError } from "../core/errors.ts";
import { showName } from "../files/visible-name.ts";

/** Where something stands in the list of tasks. `source` is the file as it was named, `line` counts from 1. */
export type Place = { readonly source: string; readonly line: number };

/** What is wrong with one line: a sentence without its full stop, and what to do about it. */
export type Fault = { readonly sentence: string; readonly hint: string };

/** The error for what is wrong at a place in the list of tasks: `BAD_BATCH`. */
export function badBatch({ source, line }: Place, { sentence, hint }: Fault): SandboxError {
  return new SandboxError("BAD_BATCH", `${showName(source)}:${line}: ${sentence}.`, hint);
}

/** The same for what a judgement of the task threw: its sentence and hint stay, the code is that of the list. */
export function badBatchOf({ source, line }: Place, thrown: unknown): SandboxError {
  const error = toSandboxError(thrown);
  if (error.code === "BAD_BATCH" || error.code === "INTERNAL" || error.code === "INTERRUPTED") return error;
  return new SandboxError("BAD_BATCH", `${showName(source)}:${line}: ${error.message}`, error.hint, { cause: error });
}
