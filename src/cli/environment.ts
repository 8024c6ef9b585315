import { readFile } from "node:fs/promises";
import { SandboxError } from "../core/errors.ts";

/** The environment of `-e NAME=VALUE`, `-e NAME` (the caller's value) and `--env-file`; later ones win, flags win over files. */
export async function readEnvironment(
  given: readonly string[],
  files: readonly string[],
  caller: Readonly<Record<string, string | undefined>>,
): Promise<Record<string, string>> {
  const env: Record<string, string> = {};
  for (const file of files) for (const line of await readLines(file)) assign(env, line, caller);
  for (const entry of given) assign(env, entry, caller);
  return env;
}

function assign(env: Record<string, string>, entry: string, caller: Readonly<Record<string, string | undefined>>): void {
  const at = entry.indexOf("=");
  const name = at === -1 ? entry : entry.slice(0, at);
  if (name === "") throw new SandboxError("BAD_ENV", `"${entry}" names no environment variable.`, "Write NAME=VALUE.");
  const value = at === -1 ? caller[name] : entry.slice(at + 1);
  if (value === undefined)
    throw new SandboxError("BAD_ENV", `The environment variable ${name} is not set here.`, `Set it, or write -e ${name}=VALUE.`);
  env[name] = value;
}

async function readLines(file: string): Promise<readonly string[]> {
  try {
    const text = await readFile(file, "utf8");
    return text.split(/\r?\n/).filter((line) => line.trim() !== "" && !line.trimStart().startsWith("#"));
  } catch (cause) {
    throw new SandboxError("BAD_ENV", `The environment file ${file} can't be read.`, "Name a readable file with --env-file.", { cause });
  }
}
