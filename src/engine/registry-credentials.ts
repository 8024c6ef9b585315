import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { SandboxError, systemCode } from "../core/errors.ts";
import { isJson, type Json, parseJson } from "./docker/json.ts";
import type { DockerHome } from "./docker-context.ts";

/** A login for one registry; `registry` is its name as the docker CLI keeps it. */
export type RegistryCredentials =
  | { readonly registry: string; readonly username: string; readonly password: string }
  | { readonly registry: string; readonly identityToken: string };

/**
 * `patience` is how long a credential helper may take, in milliseconds; 10 s unless told. `onWarning` gets a sentence about what did not stop the
 * search.
 */
export type CredentialSearch = DockerHome & {
  readonly signal?: AbortSignal;
  readonly patience?: number;
  readonly onWarning?: ((sentence: string) => void) | undefined;
};

const DOCKER_HUB = "https://index.docker.io/v1/";
const PATIENCE = 10_000;
const LARGEST_ANSWER = 1024 * 1024;

/**
 * The login that the docker CLI would use to pull `ref`, from `credHelpers`, `credsStore` and `auths` of its `config.json`; `undefined` when
 * there is none. A helper that is not installed is passed over with a warning, as the docker CLI does. Throws `PULL_FAILED` when the file or the credential helper is broken, and `INTERRUPTED`. No error carries what the file or
 * the helper said, since that may be the secret.
 */
export async function findCredentials(ref: string, search: CredentialSearch): Promise<RegistryCredentials | undefined> {
  const registry = registryOf(ref);
  if (registry === undefined) return undefined;
  const source = { registry, path: join(search.env["DOCKER_CONFIG"] || join(search.home, ".docker"), "config.json") };
  const config = await readConfig(source);
  const helper = textAt(objectAt(config, "credHelpers", source), registry, source) ?? textAt(config, "credsStore", source);
  if (helper !== undefined && helper !== "") {
    const told = await askHelper(helper, source, search);
    if (told !== "not installed") return told;
    search.onWarning?.(`docker-credential-${helper}, which ${source.path} names for ${registry}, is not installed; going on without it.`);
  }
  return storedCredentials(objectAt(config, "auths", source), source);
}

/** The value of `X-Registry-Auth` (Docker Engine API): an AuthConfig as JSON in base64url, padded as engines want it (RFC 4648, section 5). */
export function encodeCredentials(credentials: RegistryCredentials): string {
  const { registry } = credentials;
  const login =
    "identityToken" in credentials
      ? { identitytoken: credentials.identityToken }
      : { username: credentials.username, password: credentials.password };
  const json = JSON.stringify({ ...login, serveraddress: registry });
  return Buffer.from(json).toString("base64").replaceAll("+", "-").replaceAll("/", "_");
}

/** The registry of a reference: what stands before the first slash if it looks like a host, else Docker Hub. `undefined` if it is no host. */
function registryOf(ref: string): string | undefined {
  const first = ref.includes("/") ? ref.slice(0, ref.indexOf("/")) : "";
  const isHost = /[.:]/.test(first) || first === "localhost" || first !== first.toLowerCase();
  if (!isHost || first === "docker.io" || first === "index.docker.io") return DOCKER_HUB;
  return /^([A-Za-z0-9][A-Za-z0-9.-]*|\[[0-9a-fA-F:]+\])(:\d+)?$/.test(first) ? first : undefined;
}

/** Where a login is looked for, and which. */
type Source = { readonly registry: string; readonly path: string };

async function readConfig(source: Source): Promise<Json> {
  const text = await readOptional(source);
  if (text === undefined || text.trim() === "") return {};
  const config = parseJson(text);
  if (config === undefined) throw brokenConfig(source, "it is not a JSON object");
  return config;
}

async function readOptional(source: Source): Promise<string | undefined> {
  try {
    return await readFile(source.path, "utf8");
  } catch (error) {
    const code = systemCode(error);
    if (code === "ENOENT" || code === "ENOTDIR") return undefined;
    throw brokenConfig(source, `it cannot be read (${code ?? "unknown"})`);
  }
}

/** The login in `auths`, under the registry's name or, as old files have it, under a URL of it. */
function storedCredentials(auths: Json, source: Source): RegistryCredentials | undefined {
  const { registry } = source;
  const key = Object.hasOwn(auths, registry) ? registry : Object.keys(auths).find((name) => hostOf(name) === registry);
  if (key === undefined) return undefined;
  const entry = objectAt(auths, key, source);
  const identityToken = textAt(entry, "identitytoken", source) ?? "";
  if (identityToken !== "") return { registry, identityToken };
  const auth = textAt(entry, "auth", source) ?? "";
  if (auth !== "") return decodeAuth(auth, source);
  const username = textAt(entry, "username", source) ?? "";
  return username === "" ? undefined : { registry, username, password: textAt(entry, "password", source) ?? "" };
}

function hostOf(name: string): string {
  return name.replace(/^https?:\/\//, "").replace(/\/.*$/, "");
}

function decodeAuth(auth: string, source: Source): RegistryCredentials {
  const login = /^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(auth)
    ? Buffer.from(auth, "base64").toString("utf8")
    : "";
  const colon = login.indexOf(":");
  if (colon < 1) throw brokenConfig(source, '"auth" is not the base64 of user:password');
  const password = login.slice(colon + 1).replaceAll(/^\0+|\0+$/g, "");
  return { registry: source.registry, username: login.slice(0, colon), password };
}

/** Asks `docker-credential-<name>`, which reads the registry and answers with a login: the protocol of docker-credential-helpers. */
async function askHelper(
  name: string,
  source: Source,
  search: CredentialSearch,
): Promise<RegistryCredentials | "not installed" | undefined> {
  if (!/^\w[\w.-]*$/.test(name)) throw brokenConfig(source, "it names a credential helper that cannot be one");
  const program = `docker-credential-${name}`;
  const { patience = PATIENCE, signal } = search;
  const late = AbortSignal.timeout(patience);
  const over = AbortSignal.any(signal === undefined ? [late] : [late, signal]);
  const { code, exitCode, failed, isMaxBuffer, stdout } = await runHelper(program, { registry: source.registry, env: search.env, over });
  const broken = (how: string): SandboxError => brokenHelper(program, { ...source, how });
  if (signal?.aborted === true) throw new SandboxError("INTERRUPTED", `Asking ${program} for a login was given up.`, "Run again.");
  if (late.aborted) throw broken(`did not answer within ${patience / 1000} s`);
  if (code === "ENOENT") return "not installed";
  if (isMaxBuffer) throw broken("answered with more than 1 MiB");
  if (failed && stdout.includes("credentials not found")) return undefined;
  if (failed) throw broken(exitCode === undefined ? "did not run to its end" : `ended with status ${exitCode}`);
  const login = parseJson(stdout);
  const { Username: username, Secret: secret } = login ?? {};
  if (typeof username !== "string" || typeof secret !== "string") throw broken("did not answer with Username and Secret in JSON");
  return toCredentials({ registry: source.registry, username, secret });
}

type Asked = { readonly registry: string; readonly env: DockerHome["env"]; readonly over: AbortSignal };
type Told = {
  readonly code?: string | undefined;
  readonly exitCode?: number | undefined;
  readonly failed: boolean;
  readonly isMaxBuffer: boolean;
  readonly stdout: string;
};

async function runHelper(program: string, { registry, env, over }: Asked): Promise<Told> {
  const { execa } = await import("execa");
  const helper = execa(program, ["get"], {
    input: registry,
    stderr: "ignore",
    maxBuffer: LARGEST_ANSWER,
    env,
    extendEnv: false,
    cancelSignal: over,
    reject: false,
    verbose: "none",
  });
  // A child of the helper may outlive it and hold the pipe open.
  over.addEventListener("abort", () => helper.stdout.destroy(), { once: true });
  return helper;
}

type Login = { readonly registry: string; readonly username: string; readonly secret: string };

/** The user `<token>` says that the secret is an identity token. */
function toCredentials({ registry, username, secret }: Login): RegistryCredentials | undefined {
  if (username === "<token>") return { registry, identityToken: secret };
  return username === "" && secret === "" ? undefined : { registry, username, password: secret };
}

function objectAt(value: Json, key: string, source: Source): Json {
  const found = memberOf(value, key) ?? {};
  if (isJson(found)) return found;
  throw brokenConfig(source, `${JSON.stringify(key)} is not an object`);
}

function textAt(value: Json, key: string, source: Source): string | undefined {
  const found = memberOf(value, key) ?? undefined;
  if (found === undefined || typeof found === "string") return found;
  throw brokenConfig(source, `${JSON.stringify(key)} is not a text`);
}

/** Registries can have the names of what every object has. */
function memberOf(value: Json, key: string): unknown {
  return Object.hasOwn(value, key) ? value[key] : undefined;
}

function brokenConfig({ registry, path }: Source, what: string): SandboxError {
  return new SandboxError(
    "PULL_FAILED",
    `The login for ${registry} cannot be taken from ${path}: ${what}.`,
    `Repair the file, or move it away and run docker login ${registry}.`,
  );
}

function brokenHelper(program: string, { registry, path, how }: Source & { readonly how: string }): SandboxError {
  return new SandboxError(
    "PULL_FAILED",
    `The login for ${registry} cannot be had: ${program} ${how}.`,
    `See what \`echo ${registry} | ${program} get\` says, or take that helper out of ${path}.`,
  );
}
