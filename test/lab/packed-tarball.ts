import { execFile } from "node:child_process";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const exec = promisify(execFile);

/** Packs the built package into a directory, as it would be published, and answers the tarball's path. */
export async function packTarball(directory: string): Promise<string> {
  await exec("npm", ["pack", "--ignore-scripts", "--pack-destination", directory], { cwd: ROOT });
  const name = (await readdir(directory)).find((each) => each.endsWith(".tgz"));
  if (name === undefined) throw new Error("npm pack made no tarball.");
  return join(directory, name);
}

/** Installs a tarball below `prefix`, as a user would. */
export async function installTarball(tarball: string, prefix: string): Promise<void> {
  await exec("npm", ["install", "--prefix", prefix, "--no-audit", "--no-fund", tarball], { cwd: directoryOf(tarball) });
}

function directoryOf(path: string): string {
  return join(path, "..");
}
