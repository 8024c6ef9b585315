import { SandboxError, systemCode } from "../../core/errors.ts";
import type { SecretSource, SecretSpec } from "./secret-spec.ts";

/** How values are read; given by the caller, since nothing here reaches for the process. */
export type SecretSources = {
  readEnv(name: string): string | undefined;
  readFile(path: string): Promise<string>;
  runCommand(command: string): Promise<string>;
};

export type SecretValues = {
  /** The value, read at first use. Throws `SECRET_UNAVAILABLE`. */
  read(spec: SecretSpec): Promise<string>;
  /** Reads it again; answers whether it is another one now. When that fails the old one stays. */
  refresh(spec: SecretSpec): Promise<boolean>;
  /** Everything that was read for a name, the latest ones: what was sent once may come back late. */
  known(name: string): readonly string[];
};

const REMEMBERED = 4;
/** How long a failure stands: a task can ask as often as it likes, and reading can mean running a command. */
const FAILURE_MS = 5_000;

export function createSecretValues(sources: SecretSources): SecretValues {
  const known = new Map<string, readonly string[]>();
  const reading = new Map<string, Promise<string>>();

  const load = (spec: SecretSpec): Promise<string> => {
    const running = reading.get(spec.name);
    if (running !== undefined) return running;
    const loading = loadValue(spec, sources).then((value) => {
      const others = (known.get(spec.name) ?? []).filter((other) => other !== value);
      known.set(spec.name, [value, ...others].slice(0, REMEMBERED));
      return value;
    });
    const forget = (): boolean => reading.delete(spec.name);
    loading.then(forget, () => setTimeout(forget, FAILURE_MS).unref());
    reading.set(spec.name, loading);
    return loading;
  };

  return {
    read: (spec) => {
      const value = known.get(spec.name)?.[0];
      return value === undefined ? load(spec) : Promise.resolve(value);
    },
    async refresh(spec) {
      const before = known.get(spec.name)?.[0];
      return (await load(spec)) !== before;
    },
    known: (name) => known.get(name) ?? [],
  };
}

const MAX_VALUE = 16_384;

/** One trailing line break goes: files and commands end with one, and no header may. */
async function loadValue(spec: SecretSpec, sources: SecretSources): Promise<string> {
  const text = await readSource(spec, sources);
  const value = spec.from.kind === "env" ? text : text.replace(/\r?\n$/, "");
  if (value === "") throw unavailable(spec, "is empty");
  if (Buffer.byteLength(value) > MAX_VALUE) throw unavailable(spec, `is longer than ${MAX_VALUE} bytes`);
  return value;
}

async function readSource({ from, name }: SecretSpec, sources: SecretSources): Promise<string> {
  try {
    if (from.kind === "file") return await sources.readFile(from.path);
    if (from.kind === "cmd") return await sources.runCommand(from.command);
  } catch (thrown) {
    // No cause and no message of it: a command that fails may print what it knows.
    const code = systemCode(thrown);
    throw unavailable({ name, from }, `can't be read${code !== undefined && /^E[A-Z0-9]+$/.test(code) ? ` (${code})` : ""}`);
  }
  const value = sources.readEnv(from.variable);
  if (value === undefined) throw unavailable({ name, from }, "is not set");
  return value;
}

function unavailable({ name, from }: Pick<SecretSpec, "name" | "from">, what: string): SandboxError {
  return new SandboxError(
    "SECRET_UNAVAILABLE",
    `The secret ${name} ${what}: it should come from ${describeSource(from)}.`,
    HINTS[from.kind],
  );
}

function describeSource(from: SecretSource): string {
  if (from.kind === "env") return `the variable ${from.variable}`;
  return from.kind === "file" ? `the file ${from.path}` : "its command";
}

const HINTS = {
  env: "Set the variable for the command that starts the sandbox.",
  file: "Write the value into the file, and let yourself read it.",
  cmd: "Run the command by hand, and see that it ends with 0 and prints the value alone.",
} as const;
