import { SandboxError } from "../../core/errors.ts";
import { isVariableName, type SecretSource } from "./secret-spec.ts";

export type SecretFlag = { readonly name: string; readonly from: SecretSource; readonly hosts: readonly string[] };

/**
 * `NAME@HOST[,HOST…]`, `NAME=env:VARIABLE@HOST`, `NAME=file:PATH@HOST` or `NAME=cmd:COMMAND@HOST`; hosts come after the last `@`. Throws `BAD_SECRET`.
 * Values themselves are refused, since everybody on the machine can read a command line, and for the same reason no error repeats more than NAME.
 */
export function parseSecretFlag(text: string): SecretFlag {
  const at = text.lastIndexOf("@");
  const left = at === -1 ? text : text.slice(0, at);
  const equals = left.indexOf("=");
  const name = equals === -1 ? left : left.slice(0, equals);
  if (!isVariableName(name))
    throw new SandboxError("BAD_SECRET", "A secret begins with something that is not a name of a variable.", USAGE);
  const from = equals === -1 ? ({ kind: "env", variable: name } as const) : parseSecretSource(name, left.slice(equals + 1));
  const hosts = at === -1 ? [] : text.slice(at + 1).split(",");
  if (hosts.length === 0 || !hosts.every((host) => HOST.test(host)))
    throw new SandboxError("BAD_SECRET", `The secret ${name} ${hosts.length === 0 ? "has no host" : "has a host that is none"}.`, USAGE);
  return { name, from, hosts };
}

const USAGE = "Write NAME@HOST for a variable that is set here, such as API_TOKEN@api.example.com, or NAME=file:PATH@HOST.";
const HOST = /^[A-Za-z0-9*._:[\]-]+$/;

/** `env:VARIABLE`, `file:PATH` or `cmd:COMMAND`. Throws `BAD_SECRET`, without repeating what may be the value itself. */
export function parseSecretSource(name: string, text: string): SecretSource {
  const rest = text.slice(text.indexOf(":") + 1);
  if (text.startsWith("env:") && isVariableName(rest)) return { kind: "env", variable: rest };
  if (text.startsWith("file:") && rest !== "" && !rest.includes("\0")) return { kind: "file", path: rest };
  if (text.startsWith("cmd:") && rest.trim() !== "" && !rest.includes("\0")) return { kind: "cmd", command: rest };
  if (/^(?:env|file|cmd):/.test(text))
    throw new SandboxError(
      "BAD_SECRET",
      `The secret ${name} does not say where it comes from.`,
      "Write env:VARIABLE, file:PATH or cmd:COMMAND.",
    );
  throw new SandboxError(
    "BAD_SECRET",
    `The secret ${name} is given with its value, which everybody on this machine can read in the list of processes.`,
    `Put the value into a variable and write ${name}@HOST, or into a file and write ${name}=file:PATH@HOST; and replace it where it is valid.`,
  );
}
