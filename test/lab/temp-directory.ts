import { mkdtemp, realpath, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

export type TempDirectory = AsyncDisposable & {
  readonly path: string;
  /** A path below it. */
  join(...parts: readonly string[]): string;
};

/** A directory of the test's own, gone with the scope that it was made in: `await using directory = await tempDirectory()`. */
export async function tempDirectory(): Promise<TempDirectory> {
  const path = await realpath(await mkdtemp(join(tmpdir(), "belljar-")));
  return {
    path,
    join: (...parts) => join(path, ...parts),
    [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }),
  };
}
