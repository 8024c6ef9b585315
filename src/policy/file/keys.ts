import type { FileRule, FileSecret, SandboxKey } from "./task-file.ts";

/** What a key holds: a sentence for people and its JSON Schema (draft 2020-12). The tables below are all keys that are read. */
export type KeyInfo = { readonly about: string; readonly json: Readonly<Record<string, unknown>> };

const text = { type: "string", minLength: 1 };
const number = { type: "number" };
const flag = { type: "boolean" };
const listOf = (items: object): Readonly<Record<string, unknown>> => ({ type: "array", minItems: 1, items });
const whole = (maximum: number): Readonly<Record<string, unknown>> => ({ type: "integer", minimum: 1, maximum });

export const MAX_PORT = 65_535;
export const MAX_COUNT = 1_000_000;

/** A method as it stands in a request (RFC 9110, 9.1), limited to the letters that registered ones are made of. */
export const METHOD = /^[A-Z][A-Z0-9-]*$/;
/** Name of a header field (RFC 9110, 5.1). */
export const HEADER = /^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/;
export const SECRET_NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;

export const RULE_KEYS: Readonly<Record<Exclude<keyof FileRule, "where"> | "port", KeyInfo>> = {
  host: { about: "Name or pattern of names that the rule is about.", json: text },
  deny: { about: "Refuse what matches. Default false.", json: flag },
  port: { about: "One port. Default 443 and 80.", json: whole(MAX_PORT) },
  ports: { about: "Several ports, in place of `port`.", json: listOf(whole(MAX_PORT)) },
  address: { about: "IP address to connect to, in place of a look-up.", json: text },
  private: { about: "Let the name lead to a private address. Default false.", json: flag },
  methods: { about: "HTTP methods that are allowed. Default all.", json: listOf({ type: "string", pattern: METHOD.source }) },
  paths: { about: "Paths that are allowed. Default all.", json: listOf(text) },
  rate: { about: "Requests per time, such as 30/m.", json: text },
  burst: { about: "Requests that may come at once within the rate.", json: whole(MAX_COUNT) },
  maxBytes: { about: "Size with a unit that may be sent and received.", json: text },
  maxConnections: { about: "Connections at one time.", json: whole(MAX_COUNT) },
  upgrade: { about: "Protocols a connection may change to.", json: { anyOf: [{ const: "websocket" }, listOf({ const: "websocket" })] } },
  ca: { about: "PEM file of the authority to trust, relative to the task file.", json: text },
};

/** The keys that say what a rule is about. All others say what may be done there, which a rule that denies can't. */
export const DENIAL_KEYS: readonly (keyof typeof RULE_KEYS)[] = ["host", "deny", "port", "ports"];

export const SECRET_KEYS: Readonly<Record<Exclude<keyof FileSecret, "where" | "name">, KeyInfo>> = {
  from: { about: "Where the value comes from, such as env:NAME.", json: text },
  hosts: { about: "Hosts that may get it.", json: listOf(text) },
  header: { about: "The only header it may stand in. Default any.", json: { type: "string", pattern: HEADER.source } },
  in: { about: "Parts of a request it may stand in. Default [header].", json: listOf({ enum: ["header", "body"] }) },
};

export const SANDBOX_KEYS: Readonly<Record<SandboxKey, KeyInfo>> = {
  image: { about: "Image, as --image.", json: text },
  cpus: { about: "Number of CPUs, as --cpus.", json: { anyOf: [number, text] } },
  memory: { about: "Size with a unit, as --memory.", json: text },
  pids: { about: "Number of processes, as --pids-limit.", json: { anyOf: [number, text] } },
  disk: { about: "Size of /workspace, as --disk.", json: text },
  tmp: { about: "Size of /tmp, as --tmp-size.", json: text },
  timeout: { about: "Duration with a unit, as --timeout.", json: text },
  workdir: { about: "Working directory inside, as --workdir.", json: text },
  user: { about: "UID or UID:GID, as --user.", json: { anyOf: [number, text] } },
  runtime: { about: "OCI runtime, as --runtime.", json: text },
  hostname: { about: "Host name inside, as --hostname.", json: text },
};

/** Settings of the sandbox that are numbers to people; the others need a unit or are words. */
export const NUMERIC: readonly SandboxKey[] = ["cpus", "pids", "user"];

const mapOf = (keys: Readonly<Record<string, KeyInfo>>, required: readonly string[]): Readonly<Record<string, unknown>> => ({
  type: "object",
  additionalProperties: false,
  required,
  properties: Object.fromEntries(Object.entries(keys).map(([name, { about, json }]) => [name, { description: about, ...json }])),
});

const conditions = Object.keys(RULE_KEYS).filter((key) => !DENIAL_KEYS.some((other) => other === key));
const rule = {
  ...mapOf(RULE_KEYS, ["host"]),
  not: { required: ["port", "ports"] },
  dependentRequired: { burst: ["rate"] },
  if: { properties: { deny: { const: true } }, required: ["deny"] },
  // biome-ignore lint/suspicious/noThenProperty: a word of JSON Schema
  then: { not: { anyOf: conditions.map((key) => ({ required: [key] })) } },
};
const secret = mapOf(SECRET_KEYS, ["from", "hosts"]);

export const FILE_KEYS: Readonly<Record<"version" | "sandbox" | "egress" | "secrets", KeyInfo>> = {
  version: { about: "Version of the format.", json: { const: 1 } },
  sandbox: { about: "The container.", json: mapOf(SANDBOX_KEYS, []) },
  egress: { about: "What the command may reach; nothing else.", json: { type: "array", items: rule } },
  secrets: {
    about: "Values that the command uses without seeing them, by the name of a variable.",
    json: { type: "object", propertyNames: { pattern: SECRET_NAME.source }, additionalProperties: secret },
  },
};

/** Keys that are spoken for. Until they are read, a file with one of them is refused: a policy that is ignored is an open door. */
export const LATER_KEYS = ["task", "inputs", "tools", "forbid", "approve", "verify", "limits", "audit"] as const;

/** The JSON Schema (draft 2020-12) of a task file. What it can't say, such as the units of sizes, `readTaskFile` says. */
export function taskFileJsonSchema(): object {
  return { $schema: "https://json-schema.org/draft/2020-12/schema", title: "Task file", ...mapOf(FILE_KEYS, ["version"]) };
}
