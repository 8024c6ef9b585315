import { randomBytes } from "node:crypto";
import { chmod, type FileHandle, lstat, mkdir, open, opendir, readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { SandboxError, systemCode } from "../core/errors.ts";
import { PARTIAL_PREFIX } from "../core/partial.ts";
import type { RemoveIfKilled } from "../files/staging.ts";
import type { RunResult } from "../run/result.ts";
import { type Finished, parseFinished } from "./summary-schema.ts";
import { GO_ON_LATER, unwritableError } from "./unwritable.ts";

/** The results of one task while they come: put together beside their place, where they appear whole or not at all. */
export type TaskDirectory = AsyncDisposable & {
  /** Where artifacts shall appear. */
  readonly artifacts: string;
  /** Takes the next bytes of the command's output; they are in the file when it settles. */
  write(name: "stdout" | "stderr", piece: Uint8Array): Promise<void>;
  /** Adds the result and lets the directory appear under the task's name. */
  publish(result: RunResult): Promise<void>;
};

/** Opens the directory of a task below `out`. Disposing removes what was not published. Throws `OUT_UNWRITABLE`. */
export async function openTaskDirectory(out: string, id: string, removeIfKilled: RemoveIfKilled): Promise<TaskDirectory> {
  const path = partialIn(out);
  const guard = removeIfKilled(path);
  const files = await writing(out, () => openFiles(path));
  const closeFiles = (): Promise<unknown> => Promise.all([files.stdout.close(), files.stderr.close()]);
  let isPublished = false;
  return {
    artifacts: join(path, "artifacts"),
    write: (name, piece) => files[name].appendFile(piece),
    publish: (result) =>
      writing(out, async () => {
        const file = await open(join(path, "result.json"), "wx", 0o644);
        await file.writeFile(`${JSON.stringify(result, null, 2)}\n`).finally(() => file.close());
        await closeFiles();
        await chmod(path, 0o755);
        await rename(path, join(out, id));
        isPublished = true;
      }),
    async [Symbol.asyncDispose]() {
      await closeFiles();
      if (!isPublished) await rm(path, { recursive: true, force: true });
      guard[Symbol.dispose]();
    },
  };
}

async function openFiles(path: string): Promise<{ readonly stdout: FileHandle; readonly stderr: FileHandle }> {
  await mkdir(path, { mode: 0o700 });
  const stdout = await open(join(path, "stdout"), "wx", 0o644);
  try {
    return { stdout, stderr: await open(join(path, "stderr"), "wx", 0o644) };
  } catch (error) {
    await stdout.close();
    throw error;
  }
}

/** What the result of a task says, or `undefined` where there is none. */
export async function readFinished(out: string, id: string): Promise<Finished | undefined> {
  const text = await readFile(join(out, id, "result.json"), "utf8").catch(() => undefined);
  return text === undefined ? undefined : parseFinished(text);
}

/** Takes away the results of another task or an unfinished one under the same name, if there are any. Throws `OUT_UNWRITABLE`. */
export async function removeResults(out: string, id: string): Promise<void> {
  await writing(out, async () => {
    const there = await lstat(join(out, id)).catch(() => undefined);
    if (there === undefined) return;
    const aside = partialIn(out);
    await rename(join(out, id), aside);
    await rm(aside, { recursive: true, force: true });
  });
}

/** Takes away what a batch left that no watchdog could clean up behind, as after a loss of power. */
export async function removePartials(out: string): Promise<void> {
  await writing(out, async () => {
    for await (const { name } of await opendir(out))
      if (name.startsWith(PARTIAL_PREFIX)) await rm(join(out, name), { recursive: true, force: true });
  });
}

function partialIn(out: string): string {
  return join(out, `${PARTIAL_PREFIX}${randomBytes(9).toString("hex")}`);
}

async function writing<T>(out: string, act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (error) {
    if (systemCode(error) === undefined || error instanceof SandboxError) throw error;
    throw unwritableError({ sentence: `The results can't be written to "${out}"`, hint: GO_ON_LATER }, error);
  }
}
