import { randomBytes } from "node:crypto";
import { constants } from "node:fs";
import { type FileHandle, open, realpath, rename, rm, stat, writeFile } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { type ErrorCode, SandboxError, systemCode } from "../core/errors.ts";
import { besides } from "./outputs.ts";
import { showName } from "./visible-name.ts";

/** A whole file, or its pieces as they come. */
type Content = string | Uint8Array | AsyncIterable<string>;

/**
 * Writes a file so that readers see the old content or the new one and never a part: into a new file beside it, to the disk, then renamed. A symbolic
 * link keeps pointing at what is written; a device or pipe is written to as it stands. Throws `code`.
 */
export async function writeWhole(path: string, content: Content, code: ErrorCode = "RESULT_UNWRITABLE"): Promise<void> {
  try {
    const target = await resolveTarget(path);
    if (await isSpecial(target)) await writeInPlace(target, content);
    else await replaceFile(target, content);
  } catch (error) {
    if (error instanceof SandboxError) throw error;
    const sentence = `"${showName(path)}" can't be written (${systemCode(error) ?? "unknown error"}).`;
    throw new SandboxError(code, sentence, "Choose a place that you may write to and that has room.", { cause: error });
  }
}

async function resolveTarget(path: string): Promise<string> {
  try {
    return await realpath(path);
  } catch (error) {
    if (systemCode(error) === "ENOENT") return resolve(path);
    throw error;
  }
}

async function isSpecial(path: string): Promise<boolean> {
  const stats = await stat(path).catch(() => undefined);
  return stats !== undefined && !stats.isFile() && !stats.isDirectory();
}

async function writeInPlace(path: string, content: Content): Promise<void> {
  await using file = await open(path, constants.O_WRONLY);
  await writeFile(file, content);
}

async function replaceFile(target: string, content: Content): Promise<void> {
  const partial = `${besides(target)}${randomBytes(9).toString("hex")}`;
  try {
    const file = await open(partial, "wx", 0o666);
    await writeAndClose(file, content);
    await rename(partial, target);
  } catch (error) {
    await rm(partial, { force: true });
    throw error;
  }
  await syncDirectory(dirname(target));
}

async function writeAndClose(file: FileHandle, content: Content): Promise<void> {
  try {
    await writeFile(file, content);
    await file.sync();
  } finally {
    await file.close();
  }
}

/** The rename itself survives a loss of power; file systems that know no such thing are left alone. */
async function syncDirectory(directory: string): Promise<void> {
  try {
    const handle = await open(directory, constants.O_RDONLY);
    await handle.sync().finally(() => handle.close());
  } catch (error) {
    const code = systemCode(error);
    if (code !== "EINVAL" && code !== "EACCES" && code !== "EPERM") throw error;
  }
}
