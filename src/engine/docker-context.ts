import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { SandboxError, systemCode } from "../core/errors.ts";
import { flagAt, objectAt, optionalStringAt } from "./docker/json.ts";
import { type Endpoint, parseEndpoint, type TlsFiles } from "./endpoint.ts";

export type DockerHome = { readonly env: Readonly<Record<string, string | undefined>>; readonly home: string };

/**
 * The endpoint of the docker context in use: `DOCKER_CONTEXT`, or else `currentContext` of the docker CLI's configuration. `undefined` for
 * the default context. Throws `NO_ENGINE` when the context does not exist, so that no other engine takes its place.
 */
export async function currentContext(dockerHome: DockerHome): Promise<Endpoint | undefined> {
  const directory = dockerDirectory(dockerHome);
  const name = dockerHome.env["DOCKER_CONTEXT"] || optionalStringAt(await readJson(join(directory, "config.json")), "currentContext");
  if (name === undefined || name === "" || name === "default") return undefined;
  const id = createHash("sha256").update(name).digest("hex");
  const meta = await readJson(join(directory, "contexts", "meta", id, "meta.json"));
  const docker = objectAt(objectAt(meta, "Endpoints"), "docker");
  const host = optionalStringAt(docker, "Host");
  if (host === undefined) {
    throw new SandboxError(
      "NO_ENGINE",
      `The docker context ${JSON.stringify(name)} does not exist.`,
      "List the contexts with docker context ls, or name an engine with --host.",
    );
  }
  const tls = await readTlsFiles(join(directory, "contexts", "tls", id, "docker"), !flagAt(docker, "SkipTLSVerify"));
  return parseEndpoint(host, tls.ca === undefined && tls.cert === undefined ? undefined : tls);
}

/**
 * The TLS client of `DOCKER_TLS_VERIFY`, `DOCKER_TLS` and `DOCKER_CERT_PATH`, as the docker CLI understands them; `undefined` when none of the
 * first two asks for TLS.
 */
export async function readTls(dockerHome: DockerHome): Promise<TlsFiles | undefined> {
  const { env } = dockerHome;
  const verify = (env["DOCKER_TLS_VERIFY"] ?? "") !== "";
  if (!verify && (env["DOCKER_TLS"] ?? "") === "") return undefined;
  return readTlsFiles(env["DOCKER_CERT_PATH"] || dockerDirectory(dockerHome), verify);
}

function dockerDirectory({ env, home }: DockerHome): string {
  return env["DOCKER_CONFIG"] || join(home, ".docker");
}

async function readTlsFiles(directory: string, verify: boolean): Promise<TlsFiles> {
  const [ca, cert, key] = await Promise.all(["ca.pem", "cert.pem", "key.pem"].map((name) => readOptional(join(directory, name))));
  return { ca, cert, key, verify };
}

async function readJson(path: string): Promise<unknown> {
  const text = await readOptional(path);
  if (text === undefined || text.trim() === "") return undefined;
  try {
    const value: unknown = JSON.parse(text);
    return value;
  } catch {
    // Without its cause: the parser's words quote the file, and the file may hold logins.
    throw new SandboxError(
      "NO_ENGINE",
      `${path} is not JSON, so that the docker context is unknown.`,
      "Repair the file, or name an engine with --host.",
    );
  }
}

async function readOptional(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if (systemCode(error) === "ENOENT" || systemCode(error) === "ENOTDIR") return undefined;
    throw new SandboxError(
      "NO_ENGINE",
      `${path} cannot be read (${systemCode(error) ?? "unknown"}).`,
      "Make it readable, or name an engine with --host.",
      { cause: error },
    );
  }
}
