import { SandboxError } from "../../core/errors.ts";

/** Hosts as the user wrote them, and whether a name is one of them. */
export interface HostMatch {
  readonly text: string;
  matches(name: string): boolean;
}

/** Where a secret's value comes from: a variable of the host process, a file, or what a command prints. */
export type SecretSource =
  | { readonly kind: "env"; readonly variable: string }
  | { readonly kind: "file"; readonly path: string }
  | { readonly kind: "cmd"; readonly command: string };

export type SecretSpec = {
  /** The variable in which the task finds the placeholder. */
  readonly name: string;
  readonly from: SecretSource;
  readonly hosts: readonly HostMatch[];
  /** In which parts of a request the value may be put in. */
  readonly in: readonly ("header" | "body")[];
  /** The only header the value may stand in; every header without it. */
  readonly header?: string;
};

const VARIABLE = /^[A-Za-z_][A-Za-z0-9_]{0,127}$/;
const HEADER = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

export function isVariableName(text: string): boolean {
  return VARIABLE.test(text);
}

/** Throws `BAD_SECRET` for what can't be meant. A name that is none is not repeated: it may be the value, in the wrong place. */
export function assertSecretSpecs(specs: readonly SecretSpec[]): void {
  for (const [index, spec] of specs.entries()) {
    if (!isVariableName(spec.name))
      throw new SandboxError(
        "BAD_SECRET",
        `The name of secret ${index + 1} is not a name of a variable.`,
        "Write a name such as API_TOKEN.",
      );
    if (specs.findIndex(({ name }) => name === spec.name) !== index)
      throw new SandboxError("BAD_SECRET", `The secret ${spec.name} is given twice.`, "Give it once, with all its hosts.");
    const why = judgeSpec(spec);
    if (why !== undefined) throw new SandboxError("BAD_SECRET", `The secret ${spec.name} ${why.what}.`, why.hint);
  }
}

function judgeSpec({ from, hosts, in: places, header }: SecretSpec): { readonly what: string; readonly hint: string } | undefined {
  if (hosts.length === 0) return { what: "has no host", hint: "Name the hosts it may be sent to: NAME@HOST." };
  if (places.length === 0) return { what: "may be put in nowhere", hint: "Write header, body or both." };
  if (header !== undefined && !HEADER.test(header))
    return { what: "is bound to something that is not a name of a header", hint: "Write a name such as X-Api-Key." };
  if (header !== undefined && !places.includes("header"))
    return { what: `is bound to the header ${header} but not allowed in headers`, hint: "Leave out the header, or allow headers." };
  if (from.kind === "env" && !isVariableName(from.variable))
    return { what: "comes from something that is not a name of a variable", hint: "Write env:VARIABLE." };
  if (from.kind === "file" && from.path === "") return { what: "comes from a file without a name", hint: "Write file:PATH." };
  if (from.kind === "cmd" && from.command.trim() === "") return { what: "comes from an empty command", hint: "Write cmd:COMMAND." };
  return undefined;
}
