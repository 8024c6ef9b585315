import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { promisify } from "node:util";
import type { SecretSources } from "../egress/secret-values.ts";
import type { SecretRequest } from "../policy/egress-spec.ts";

const COMMAND_MS = 60_000;
const LARGEST_OUTPUT = 64 * 1024;

/** Parses the values of `--secret`; nothing is loaded where there are none. Throws `BAD_SECRET`. */
export async function readSecrets(flags: readonly string[]): Promise<readonly SecretRequest[]> {
  if (flags.length === 0) return [];
  const { parseSecretFlag } = await import("../egress/secret-flag.ts");
  return flags.map((flag) => ({ ...parseSecretFlag(flag), in: ["header"] }));
}

/** Values come from this process and its machine. A command is run by a shell, in the caller's environment and directory. */
export function createSecretSources(env: Readonly<Record<string, string | undefined>>): SecretSources {
  return {
    readEnv: (name) => env[name],
    readFile: (path) => readFile(path, "utf8"),
    runCommand: async (command) => {
      const options = { timeout: COMMAND_MS, maxBuffer: LARGEST_OUTPUT, encoding: "utf8" as const };
      const { stdout } = await promisify(execFile)("/bin/sh", ["-c", command], options);
      return stdout;
    },
  };
}
