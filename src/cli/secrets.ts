import { readFile } from "node:fs/promises";
import type { SecretSources } from "../egress/secret-values.ts";
import type { SecretRequest } from "../policy/egress-spec.ts";
import { createSourceCommands } from "./source-commands.ts";

/** Parses the values of `--secret`; nothing is loaded where there are none. Throws `BAD_SECRET`. */
export async function readSecrets(flags: readonly string[]): Promise<readonly SecretRequest[]> {
  if (flags.length === 0) return [];
  const { parseSecretFlag } = await import("../egress/secret-flag.ts");
  return flags.map((flag) => ({ ...parseSecretFlag(flag), in: ["header"] }));
}

/** Values come from this process and its machine. Disposing of it ends the commands that still run. */
export function createSecretSources(env: Readonly<Record<string, string | undefined>>): SecretSources & Disposable {
  const commands = createSourceCommands();
  return {
    readEnv: (name) => env[name],
    readFile: (path) => readFile(path, "utf8"),
    runCommand: (command) => commands.run(command),
    [Symbol.dispose]: () => commands[Symbol.dispose](),
  };
}
