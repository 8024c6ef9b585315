import { readFile } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { SandboxError, systemCode, toSandboxError } from "../core/errors.ts";
import { parseDuration, parseSize } from "../core/units.ts";
import { parseSecretSource } from "../egress/secrets/secret-flag.ts";
import type { RuleSpec, SecretRequest } from "../policy/egress-spec.ts";
import { at } from "../policy/file/fault.ts";
import { MAX_TASK_FILE, readTaskFile } from "../policy/file/read-task-file.ts";
import type { FileRule, FileSecret, SandboxKey, TaskFile } from "../policy/file/task-file.ts";
import type { TaskRequest } from "../policy/task-request.ts";

/**
 * Completes a request with what a task file says. Flags override the file where that narrows it: what widens it is refused. Throws `BAD_TASK_FILE`,
 * `BAD_SECRET` and `USAGE`.
 */
export async function withTaskFile(request: TaskRequest, path: string): Promise<TaskRequest> {
  const file = readTaskFile(await readText(path), path);
  assertNotWidened(request, file, path);
  return {
    ...settingsOf(file),
    ...request,
    rules: await Promise.all(file.egress.map((rule) => ruleOf(rule, path))),
    secrets: file.secrets.map((secret) => secretOf(secret, path)),
  };
}

async function readText(path: string): Promise<string> {
  try {
    const bytes = await readFile(path);
    // One byte too many is enough for the reader to say so.
    return bytes.toString("utf8", 0, MAX_TASK_FILE + 1);
  } catch (error) {
    const why = systemCode(error) ?? toSandboxError(error).message;
    throw new SandboxError(
      "BAD_TASK_FILE",
      `The task file ${JSON.stringify(path)} can't be read: ${why}.`,
      "Name a file that exists with -f.",
    );
  }
}

/** The request's name of each setting, and how to tell which of two values is the wider one; where that can't be told, they must be the same. */
const SETTINGS: Readonly<Record<SandboxKey, { readonly field: keyof TaskRequest; readonly size?: (text: string) => number }>> = {
  image: { field: "image" },
  cpus: { field: "cpus", size: Number },
  memory: { field: "memory", size: (text) => parseSize(text, "--memory") },
  pids: { field: "pids", size: Number },
  disk: { field: "disk", size: (text) => parseSize(text, "--disk") },
  tmp: { field: "tmpSize", size: (text) => parseSize(text, "--tmp-size") },
  timeout: { field: "timeout", size: (text) => parseDuration(text, "--timeout") },
  workdir: { field: "workdir" },
  user: { field: "user" },
  runtime: { field: "runtime" },
  hostname: { field: "hostname" },
};

function settingsOf({ sandbox }: TaskFile): Partial<TaskRequest> {
  const entries = Object.entries(SETTINGS) as [SandboxKey, (typeof SETTINGS)[SandboxKey]][];
  return Object.fromEntries(entries.flatMap(([key, { field }]) => (sandbox[key] === undefined ? [] : [[field, sandbox[key].text]])));
}

function assertNotWidened(request: TaskRequest, { sandbox }: TaskFile, path: string): void {
  if ((request.allow ?? []).length > 0 || (request.secrets ?? []).length > 0 || request.allowPrivate === true)
    throw new SandboxError(
      "USAGE",
      `--allow, --allow-private and --secret would widen what ${path} lets out.`,
      "Write the rule into the file, or leave out -f.",
    );
  for (const [key, { field, size }] of Object.entries(SETTINGS)) {
    const given = request[field];
    const written = sandbox[key as SandboxKey]?.text;
    if (typeof given !== "string" || written === undefined || given === written) continue;
    if (size === undefined || size(given) > size(written))
      throw new SandboxError(
        "USAGE",
        `The flag for ${key} says ${given} where ${path} says ${written}: flags can only narrow a file.`,
        "Leave the flag out, or change the file.",
      );
  }
}

async function ruleOf(rule: FileRule, path: string): Promise<RuleSpec> {
  const { host, deny, ports, address, methods, paths, rate, burst, maxBytes, maxConnections, upgrade = [], where } = rule;
  const ca = rule.ca === undefined ? undefined : await readCertificates(resolve(dirname(path), rule.ca), (error) => at(path, where, error));
  const fixed = address === undefined ? undefined : { ip: address, port: undefined };
  return {
    text: `${host} (${path}:${where.line})`,
    host,
    deny,
    ports,
    address: fixed,
    allowPrivate: rule.private,
    methods,
    paths,
    rate,
    burst,
    maxBytes,
    maxConnections,
    upgrade,
    ca,
  };
}

async function readCertificates(path: string, placed: (error: SandboxError) => SandboxError): Promise<string> {
  const text = await readFile(path, "utf8").catch(() => "");
  if (text.includes("-----BEGIN CERTIFICATE-----")) return text;
  throw placed(
    new SandboxError("BAD_TASK_FILE", `ca: ${JSON.stringify(path)} holds no certificate.`, "Name a PEM file, relative to the task file."),
  );
}

function secretOf({ name, from, hosts, header, in: places, where }: FileSecret, path: string): SecretRequest {
  try {
    return { name, from: parseSecretSource(name, from), hosts, in: places, ...(header === undefined ? {} : { header }) };
  } catch (error) {
    throw at(path, where, toSandboxError(error));
  }
}
