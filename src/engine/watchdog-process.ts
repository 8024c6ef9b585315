/**
 * The watchdog's own process, as light as it can be: it learns to speak to the engine only when it has to. It reads lines from its
 * standard input: first the endpoint and the environment of `ssh` as JSON, then `+NAME` and `-NAME` for each container that is to be
 * watched or not any more, and `!` to leave at once. When the input ends, the parent is gone: every name still watched is removed
 * from the engine.
 */
import { rm } from "node:fs/promises";
import { basename } from "node:path";
import { createInterface } from "node:readline";
import { PARTIAL_PREFIX } from "../core/partial.ts";
import type { Client } from "./docker/client.ts";
import { type Endpoint, isEndpoint } from "./endpoint.ts";

/** A create request may still be under way in the engine: a name counts as gone when it was missing for this long. */
const STABLE = 1_000;
const POLL = 100;
const GIVE_UP = 30_000;

await watch();

async function watch(): Promise<void> {
  for (const signal of ["SIGINT", "SIGHUP", "SIGTERM"] as const) process.on(signal, () => undefined);
  const armed = new Set<string>();
  let engine: Engine | undefined;
  const lines = createInterface({ input: process.stdin });
  for await (const line of lines) {
    if (line === "!") return void process.stdin.unref();
    if (engine === undefined) engine = parseEngine(line);
    else if (line.startsWith("+")) armed.add(line.slice(1));
    else if (line.startsWith("-")) armed.delete(line.slice(1));
  }
  process.stdin.unref();
  if (engine !== undefined && armed.size > 0) await removeAll(engine, armed);
}

type Engine = { readonly endpoint: Endpoint; readonly env: Readonly<Record<string, string | undefined>> };

function parseEngine(line: string): Engine {
  const value: unknown = JSON.parse(line);
  if (typeof value !== "object" || value === null || !("endpoint" in value) || !isEndpoint(value.endpoint))
    throw new Error("The first line is not an endpoint.");
  const env = "env" in value && typeof value.env === "object" && value.env !== null ? Object.entries(value.env) : [];
  return { endpoint: value.endpoint, env: Object.fromEntries(env.map(([name, text]) => [name, String(text)])) };
}

/** What begins with a slash is a directory of unfinished results, everything else a container. */
async function removeAll(engine: Engine, names: ReadonlySet<string>): Promise<void> {
  const directories = [...names].filter((name) => name.startsWith("/"));
  await Promise.all(directories.filter(isPartial).map((path) => rm(path, { recursive: true, force: true })));
  if (names.size > directories.length)
    await removeContainers(
      engine,
      [...names].filter((name) => !name.startsWith("/")),
    );
}

/** The watchdog removes no directory but those that could not be anybody else's. */
function isPartial(path: string): boolean {
  return basename(path).startsWith(PARTIAL_PREFIX);
}

async function removeContainers({ endpoint, env }: Engine, names: readonly string[]): Promise<void> {
  const { createClient } = await import("./docker/client.ts");
  const client = await createClient(endpoint, env);
  const deadline = Date.now() + GIVE_UP;
  await Promise.all(names.map((name) => removeUntilGone(client, { name, deadline })));
  client.close();
}

async function removeUntilGone(client: Client, { name, deadline }: { readonly name: string; readonly deadline: number }): Promise<void> {
  let missingSince: number | undefined;
  while (Date.now() < deadline) {
    const status = await client
      .ask({ method: "DELETE", path: `/containers/${name}`, query: { force: "true", v: "true" }, timeout: 5_000 })
      .then(
        (answer) => answer.status,
        () => undefined,
      );
    missingSince = status === 404 ? (missingSince ?? Date.now()) : undefined;
    if (missingSince !== undefined && Date.now() - missingSince >= STABLE) return;
    await new Promise((resolve) => setTimeout(resolve, POLL));
  }
}
