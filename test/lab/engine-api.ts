import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { type IncomingMessage, request } from "node:http";
import { text } from "node:stream/consumers";
import { promisify } from "node:util";

/** The UNIX socket of the engine that the tests use: the one of `DOCKER_HOST`, else Docker's usual one. */
export function engineSocket(): string {
  const host = process.env["DOCKER_HOST"];
  if (host === undefined || host === "") return "/var/run/docker.sock";
  if (host.startsWith("unix://")) return host.slice("unix://".length);
  throw new Error(`The tests need an engine at a UNIX socket of this machine; DOCKER_HOST is ${host}.`);
}

export type EngineCall = {
  readonly method?: "GET" | "POST" | "PUT" | "DELETE";
  readonly path: string;
  readonly json?: unknown;
  readonly tar?: Buffer;
};

/** Asks the engine past the product: the tests' second opinion. Gives the status and the parsed JSON, or the text. */
export async function askEngine({
  method = "GET",
  path,
  json,
  tar,
}: EngineCall): Promise<{ readonly status: number; readonly body: unknown }> {
  const payload = tar ?? (json === undefined ? undefined : Buffer.from(JSON.stringify(json)));
  const type = tar === undefined ? "application/json" : "application/x-tar";
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    const headers = { Host: "engine", ...(payload === undefined ? {} : { "Content-Type": type, "Content-Length": payload.length }) };
    request({ socketPath: engineSocket(), method, path, headers }, resolve).once("error", reject).end(payload);
  });
  return { status: response.statusCode ?? 0, body: parse(await text(response)) };
}

/** Ids of the containers, running or not, that carry the label of one run. */
export async function containersOfRun(run: string): Promise<readonly string[]> {
  const filters = encodeURIComponent(JSON.stringify({ label: [`sandbox.run=${run}`] }));
  const { body } = await askEngine({ path: `/containers/json?all=true&filters=${filters}` });
  return members(body, "Id");
}

export type EngineSnapshot = { readonly containers: readonly string[]; readonly volumes: readonly string[] };

/** Everything that lies on the engine now, ours or not, sorted: take one before and one after, and compare. */
export async function snapshotEngine(): Promise<EngineSnapshot> {
  const [containers, volumes] = await Promise.all([askEngine({ path: "/containers/json?all=true" }), askEngine({ path: "/volumes" })]);
  const listed = typeof volumes.body === "object" && volumes.body !== null && "Volumes" in volumes.body ? volumes.body.Volumes : [];
  return { containers: members(containers.body, "Id"), volumes: members(listed, "Name") };
}

/** Runs the `docker` command against the tests' engine and gives what it prints. */
export async function dockerCli(args: readonly string[], options: { readonly timeout?: number } = {}): Promise<string> {
  const env = { ...process.env, DOCKER_HOST: `unix://${engineSocket()}` };
  const { stdout } = await promisify(execFile)("docker", args, { env, timeout: options.timeout ?? 60_000, maxBuffer: 64 * 1024 * 1024 });
  return stdout;
}

/** Throws with what to do when no engine answers. */
export async function requireEngine(): Promise<void> {
  const socket = engineSocket();
  const advice = "Run `node scripts/engine.mjs`, or `npm test`, which does it by itself.";
  if (!existsSync(socket)) throw new Error(`There is no engine at ${socket}. ${advice}`);
  const { status } = await askEngine({ path: "/_ping" });
  if (status !== 200) throw new Error(`What listens at ${socket} answers a ping with status ${status}. ${advice}`);
}

function members(list: unknown, key: string): readonly string[] {
  if (!Array.isArray(list)) return [];
  const entries: readonly unknown[] = list;
  return entries
    .flatMap((entry) => (typeof entry === "object" && entry !== null && key in entry ? [String(Reflect.get(entry, key))] : []))
    .sort();
}

function parse(body: string): unknown {
  try {
    const value: unknown = JSON.parse(body);
    return value;
  } catch {
    return body;
  }
}

/** The command lines of the processes in a sandbox, as the engine tells them. */
export async function processesIn(sandbox: string): Promise<readonly string[]> {
  const { status, body } = await askEngine({ path: `/containers/sandbox-${sandbox}/top?ps_args=-o%20pid,args` });
  if (status !== 200) throw new Error(`The engine can't tell the processes of ${sandbox}: ${JSON.stringify(body)}`);
  const rows: unknown = typeof body === "object" && body !== null && "Processes" in body ? body.Processes : [];
  return Array.isArray(rows) ? rows.map((row: unknown) => (Array.isArray(row) ? String(row.at(-1)) : "")) : [];
}
