import { readFile } from "node:fs/promises";
import type { SecretSources } from "../egress/secrets/secret-values.ts";
import { createSourceCommands } from "./source-commands.ts";

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
