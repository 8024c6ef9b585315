import { mkdtempSync, rmdirSync } from "node:fs";
import { lstat, mkdir, readdir, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { type ErrorCode, SandboxError, systemCode } from "../core/errors.ts";
import { PARTIAL_PREFIX } from "../core/partial.ts";
import { globBase, normaliseGlob } from "./glob.ts";
import { showName } from "./visible-name.ts";

/**
 * The paths, relative to the workspace, below which everything lies that the globs can match; `.` for all of it. No path is listed with one above it.
 * Throws `BAD_GLOB` for a glob that is empty, absolute or has `..`.
 */
export function artifactRoots(globs: readonly string[]): readonly string[] {
  const bases = [...new Set(globs.map((glob) => globBase(normaliseGlob(glob, "--artifact"))))].sort();
  if (bases.includes(".")) return ["."];
  return bases.filter((base) => !bases.some((other) => base.startsWith(`${other}/`)));
}

/**
 * Makes sure, before anything starts, that a directory of results can appear at `path`: makes the directories above it and refuses one that
 * holds something already. Answers the absolute path. Throws `OUT_UNWRITABLE`.
 */
export async function assertOutDirectory(path: string): Promise<string> {
  const absolute = resolve(path);
  if (await isTaken(absolute)) {
    throw new SandboxError(
      "OUT_UNWRITABLE",
      `The output directory "${showName(path)}" exists and is not an empty directory.`,
      "Give --out a new directory, or empty this one.",
    );
  }
  await assertWritableDirectory(dirname(absolute), { path, code: "OUT_UNWRITABLE" });
  return absolute;
}

/**
 * Makes sure, before anything starts, that `writeWhole` can write `path`. A directory that is missing is more likely misspelt than meant to be made.
 * Throws `code`.
 */
export async function assertWritableFile(path: string, code: ErrorCode = "OUT_UNWRITABLE"): Promise<void> {
  const absolute = resolve(path);
  if (await isDirectory(absolute)) {
    throw new SandboxError(code, `"${showName(path)}" is a directory, not a file.`, "Give the path of a file.");
  }
  if (await isMissing(dirname(absolute))) {
    const sentence = `The directory "${showName(dirname(path))}" for "${showName(path)}" does not exist.`;
    throw new SandboxError(code, sentence, "Make it first, or give another path.");
  }
  await assertWritableDirectory(dirname(absolute), { path, code });
}

/** Makes sure, before anything starts, that a patch can be put together among the temporary files. Throws `OUT_UNWRITABLE`. */
export function assertTemporaryDirectory(): void {
  try {
    tryOut(join(tmpdir(), PARTIAL_PREFIX));
  } catch (error) {
    const sentence = `The directory "${showName(tmpdir())}" for temporary files can't be written (${systemCode(error) ?? "unknown error"}).`;
    throw new SandboxError("OUT_UNWRITABLE", sentence, "Set TMPDIR to a directory that you may write to.", { cause: error });
  }
}

/** A name beside `path` that nobody else uses, recognisable where a killed process left it behind. */
export function besides(path: string): string {
  return join(dirname(resolve(path)), PARTIAL_PREFIX);
}

async function isDirectory(path: string): Promise<boolean> {
  const stats = await stat(path).catch(() => undefined);
  return stats?.isDirectory() === true;
}

async function isMissing(path: string): Promise<boolean> {
  return stat(path).then(
    () => false,
    (error: unknown) => systemCode(error) === "ENOENT",
  );
}

async function isTaken(path: string): Promise<boolean> {
  try {
    return !(await lstat(path)).isDirectory() || (await readdir(path)).length > 0;
  } catch (error) {
    return systemCode(error) !== "ENOENT" && systemCode(error) !== "ENOTDIR";
  }
}

/** Tries it out: permission bits say nothing about read-only file systems, quotas, or what a privileged user may do. */
async function assertWritableDirectory(directory: string, wanted: { readonly path: string; readonly code: ErrorCode }): Promise<void> {
  try {
    await makeDirectories(directory);
    tryOut(besides(wanted.path));
  } catch (error) {
    const sentence = `"${showName(wanted.path)}" can't be written (${systemCode(error) ?? "unknown error"} in "${showName(directory)}").`;
    throw new SandboxError(wanted.code, sentence, "Choose a place that you may write to.", { cause: error });
  }
}

/** At one go: nobody cleans up behind a process that is killed between the two. */
function tryOut(prefix: string): void {
  rmdirSync(mkdtempSync(prefix));
}

/** Like `mkdir -p`. The one of Node.js never returns where the kernel answers `ENOENT` for a parent that is there, as below `/proc`. */
async function makeDirectories(path: string): Promise<void> {
  try {
    await mkdir(path);
  } catch (error) {
    const code = systemCode(error);
    if (code === "EEXIST" && (await isDirectory(path))) return;
    if (code !== "ENOENT" || (await isDirectory(dirname(path)))) throw error;
    await makeDirectories(dirname(path));
    await mkdir(path);
  }
}
