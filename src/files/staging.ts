import { randomBytes } from "node:crypto";
import { chmodSync, closeSync, constants, fchmodSync, mkdirSync, openSync, rmSync, writeFileSync, writeSync } from "node:fs";
import { rename, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { besides } from "./outputs.ts";

/** Has a path removed if this process is killed before the answer is disposed of. */
export type RemoveIfKilled = (path: string) => Disposable;

/** A directory that nobody else may enter, in which results are put together before they appear. */
export type Staging = AsyncDisposable & {
  /** Makes a directory of the results, with those above it. */
  addDirectory(path: string): void;
  /** Makes a file of the results from pieces as they come; it exists whole or is removed with everything else. */
  addFile(path: string, mode: number): StagedFile;
  /** Keeps bytes aside that are needed again before the end; answers where. */
  setAside(content: Uint8Array): string;
  /** Lets the results appear at the output directory, all at once. Does nothing when there are none. */
  publish(): Promise<void>;
};

export type StagedFile = {
  write(piece: Uint8Array): void;
  /** The content is complete: gives the file its mode. */
  close(): void;
  /** The content never came whole: removes the file. */
  discard(): void;
};

/** Something could not be written on this side; `cause` is the system's error. */
export class WriteFailure extends Error {
  override readonly name = "WriteFailure";
}

/**
 * Opens a staging directory beside `out`, so that publishing is a rename, or among the temporary files when there is no `out`. Every name that is
 * given must have been judged before. Disposing removes whatever was not published. Throws `WriteFailure`.
 */
export function openStaging(out: string | undefined, removeIfKilled: RemoveIfKilled): Staging {
  const target = resolve(out ?? join(tmpdir(), "sandbox"));
  const directory = `${besides(target)}${randomBytes(9).toString("hex")}`;
  const guard = removeIfKilled(directory);
  writing(() => {
    mkdirSync(directory, { mode: 0o700 });
  });
  const results = join(directory, "results");
  const made = new Set<string>();
  let aside = 0;

  function addDirectory(path: string): void {
    if (made.has(path)) return;
    writing(() => mkdirSync(join(results, path), { recursive: true, mode: 0o755 }));
    made.add(path);
  }

  return {
    addDirectory,
    addFile(path, mode) {
      addDirectory(dirname(path));
      return openStagedFile(join(results, path), mode);
    },
    setAside(content) {
      aside += 1;
      const path = join(directory, `aside-${aside}`);
      writing(() => {
        writeFileSync(path, content, { flag: "wx", mode: 0o600 });
      });
      return path;
    },
    async publish() {
      if (out === undefined || made.size === 0) return;
      writing(() => {
        chmodSync(results, 0o755);
      });
      await rename(results, target).catch(fail);
    },
    async [Symbol.asyncDispose]() {
      await rm(directory, { recursive: true, force: true });
      guard[Symbol.dispose]();
    },
  };
}

const CREATE_FLAGS = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;

function openStagedFile(path: string, mode: number): StagedFile {
  const file = writing(() => openSync(path, CREATE_FLAGS, 0o600));
  return {
    write(piece) {
      writing(() => {
        writeAll(file, piece);
      });
    },
    close() {
      writing(() => {
        fchmodSync(file, mode);
      });
      closeSync(file);
    },
    discard() {
      closeSync(file);
      rmSync(path, { force: true });
    },
  };
}

function writing<T>(act: () => T): T {
  try {
    return act();
  } catch (error) {
    return fail(error);
  }
}

function fail(cause: unknown): never {
  throw new WriteFailure("writing failed", { cause });
}

function writeAll(file: number, piece: Uint8Array): void {
  for (let at = 0; at < piece.length; ) at += writeSync(file, piece, at);
}
