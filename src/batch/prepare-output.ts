import { SandboxError, toSandboxError } from "../core/errors.ts";
import { assertOutDirectory } from "../files/outputs.ts";
import { showName } from "../files/visible-name.ts";
import { type Past, readJournal, type Writer } from "./journal.ts";

export type OutputPlace = {
  readonly path: string;
  readonly resume: boolean;
  /** Whether the process that wrote a journal still lives. */
  readonly isAlive: (writer: Writer) => boolean;
};

/** The absolute directory of the results, and what earlier batches left there where this one may go on with it. */
export type Output = { readonly out: string; readonly past: Past | undefined };

/** Looks at the output directory before anything starts: it is new, or it is that of a batch and `resume` says to go on. Throws `OUT_UNWRITABLE`. */
export async function prepareOutput({ path, resume, isAlive }: OutputPlace): Promise<Output> {
  const past = await readJournal(path);
  if (past === undefined) return { out: await assertOutDirectory(path), past: undefined };
  if (!resume)
    throw new SandboxError(
      "OUT_UNWRITABLE",
      `The output directory "${showName(path)}" holds the results of a batch.`,
      "Go on with it with --resume, or give --out a new directory.",
    );
  if (past.writer !== undefined && isAlive(past.writer))
    throw new SandboxError(
      "OUT_UNWRITABLE",
      `Process ${past.writer.pid} still writes to "${showName(path)}".`,
      "Wait for that batch, or interrupt it first.",
    );
  return { out: await absoluteOf(path), past };
}

async function absoluteOf(path: string): Promise<string> {
  const { realpath } = await import("node:fs/promises");
  return realpath(path).catch((error: unknown) => {
    throw toSandboxError(error);
  });
}
