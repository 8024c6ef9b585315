import type { IncomingMessage } from "node:http";
import type { Readable } from "node:stream";
import { SandboxError } from "../../core/errors.ts";
import type { BuildOptions, ImageConfig, ImageStore, ImportOptions, Progress, StoredImage } from "../../images/image-store.ts";
import { ASK_TIMEOUT, type Client } from "./client.ts";
import { plain, refused, toEngineError } from "./engine-error.ts";
import type { FindRegistryAuth, Pull } from "./images.ts";
import { isJson, listAt, numberAt, objectAt, optionalStringAt, stringAt, textsOf } from "./json.ts";

const HINT = "Check the engine's own log, then run again with --verbose.";
const KEPT_LINES = 20;
/** Milliseconds; removing an image removes its files. */
const DELETE_TIMEOUT = 60_000;

const withoutLogin: FindRegistryAuth = () => Promise.resolve(undefined);

/** Images over the Docker Engine API, as Docker Engine and Podman serve it. `arch` is the engine's architecture in OCI terms. */
export function createImageStore(client: Client, arch: string, findAuth: FindRegistryAuth = withoutLogin): ImageStore {
  const find = (ref: string): Promise<StoredImage | undefined> => findStored(client, ref);
  return {
    arch,
    find,
    list: (label) => listStored(client, label),
    pull: (ref, options) => pullIfThere(client, { ref, findAuth, ...options }),
    async discard(id) {
      const { status, body } = await client.ask({ method: "GET", path: `/images/${id}/json`, timeout: ASK_TIMEOUT });
      if (status !== 200 || listAt(body, "RepoTags").length > 0) return;
      await client.ask({ method: "DELETE", path: `/images/${id}`, timeout: DELETE_TIMEOUT });
    },
    async buildFromContext(context, options) {
      await build(client, { context, options });
      return made(await find(options.ref), options.ref);
    },
    async importRootfs(rootfs, options) {
      await importTar(client, { rootfs, options });
      return made(await find(options.ref), options.ref);
    },
  };
}

async function findStored(client: Client, ref: string): Promise<StoredImage | undefined> {
  const answer = await client.ask({ method: "GET", path: `/images/${encodeURI(ref)}/json`, timeout: ASK_TIMEOUT });
  if (answer.status === 404) return undefined;
  if (answer.status !== 200) throw refused(answer, { code: "NO_IMAGE", doing: `look the image ${JSON.stringify(ref)} up`, hint: HINT });
  const { body } = answer;
  return {
    ref,
    id: stringAt(body, "Id"),
    labels: textsOf(objectAt(objectAt(body, "Config"), "Labels")),
    bytes: numberAt(body, "Size"),
    created: new Date(stringAt(body, "Created")),
  };
}

async function listStored(client: Client, label: string): Promise<readonly StoredImage[]> {
  const query = { filters: JSON.stringify({ label: [label] }) };
  const answer = await client.ask({ method: "GET", path: "/images/json", query, timeout: ASK_TIMEOUT });
  if (answer.status !== 200 || !Array.isArray(answer.body))
    throw refused(answer, { code: "ENGINE_REFUSED", doing: "list its images", hint: HINT });
  const images = answer.body.flatMap((entry: unknown) =>
    listAt(entry, "RepoTags")
      .filter((ref): ref is string => typeof ref === "string" && ref !== "<none>:<none>")
      .map((ref) => ({
        ref,
        id: stringAt(entry, "Id"),
        labels: textsOf(objectAt(entry, "Labels")),
        bytes: numberAt(entry, "Size"),
        created: new Date(numberAt(entry, "Created") * 1000),
      })),
  );
  return images.sort((one, other) => other.created.getTime() - one.created.getTime());
}

/** The first message about a layer shows that the registry answered; until then the clock runs. */
async function pullIfThere(client: Client, pull: Pull & { readonly answerWithin: number }): Promise<boolean> {
  const { ref, findAuth, answerWithin, onProgress, signal } = pull;
  const registryAuth = await findAuth(ref, signal);
  const patience = new AbortController();
  const clock = setTimeout(() => patience.abort(), answerWithin);
  let said = "";
  try {
    const over = AbortSignal.any([signal, patience.signal]);
    const query = { fromImage: ref };
    const { status, body } = await client.stream({ method: "POST", path: "/images/create", query, registryAuth, signal: over });
    for await (const message of messagesOf(body)) {
      if (message.error !== undefined || status !== 200) return false;
      if (message.id === undefined) continue;
      clearTimeout(clock);
      const line = `${ref}: ${plain(message.text)}`;
      if (line !== said) onProgress(line);
      said = line;
    }
    return status === 200;
  } catch (error) {
    if (patience.signal.aborted && !signal.aborted) return false;
    throw toEngineError(error, client.place);
  } finally {
    clearTimeout(clock);
  }
}

async function build(client: Client, { context, options }: { readonly context: Buffer; readonly options: BuildOptions }): Promise<void> {
  const { ref, buildArgs, labels, onProgress, signal } = options;
  const query = {
    t: ref,
    rm: "1",
    forcerm: "1",
    buildargs: JSON.stringify(buildArgs),
    labels: JSON.stringify(labels),
    ...((await hasBridge(client)) ? {} : { networkmode: "host" }),
  };
  const { status, body } = await client.stream({ method: "POST", path: "/build", query, tar: context, signal });
  await settle(body, { status, doing: `build ${ref}`, onProgress });
}

/** An engine without a bridge network gives the steps of a build no network of their own to install packages through. */
async function hasBridge(client: Client): Promise<boolean> {
  const query = { filters: JSON.stringify({ driver: ["bridge"] }) };
  const answer = await client.ask({ method: "GET", path: "/networks", query, timeout: ASK_TIMEOUT });
  return !Array.isArray(answer.body) || answer.body.length > 0;
}

async function importTar(
  client: Client,
  { rootfs, options }: { readonly rootfs: Readable; readonly options: ImportOptions },
): Promise<void> {
  const { ref, config, signal } = options;
  try {
    const { status, body } = await client.stream({
      method: "POST",
      path: "/images/create",
      query: importQuery(ref, config),
      tar: rootfs,
      signal,
    });
    await settle(body, { status, doing: `import ${ref}`, onProgress: () => undefined });
  } catch (error) {
    throw toEngineError(rootfs.errored ?? error, client.place);
  } finally {
    rootfs.destroy();
  }
}

/** The configuration of an imported image travels as instructions of a Dockerfile. */
function importQuery(ref: string, { env, workdir, command, labels }: ImageConfig): Readonly<Record<string, string | readonly string[]>> {
  const colon = ref.lastIndexOf(":");
  const changes = [
    ...Object.entries(env).map(([name, value]) => `ENV ${name}=${JSON.stringify(value)}`),
    ...Object.entries(labels).map(([name, value]) => `LABEL ${JSON.stringify(name)}=${JSON.stringify(value)}`),
    `WORKDIR ${workdir}`,
    `CMD ${JSON.stringify(command)}`,
  ];
  return { fromSrc: "-", repo: ref.slice(0, colon), tag: ref.slice(colon + 1), changes };
}

type Settling = { readonly status: number; readonly doing: string; readonly onProgress: Progress };

/** Follows the engine's messages to the end; an error among them, or a status of failure, becomes `BUILD_FAILED` with what came before. */
async function settle(body: IncomingMessage, { status, doing, onProgress }: Settling): Promise<void> {
  const kept: string[] = [];
  for await (const { text, error } of messagesOf(body)) {
    const line = plain(error ?? text);
    kept.push(line);
    if (kept.length > KEPT_LINES) kept.shift();
    if (error === undefined && status === 200) {
      if (line.startsWith("Step ")) onProgress(line);
      continue;
    }
    throw new SandboxError("BUILD_FAILED", `The engine could not ${doing}: ${line}.`, HINT, { cause: new Error(kept.join("\n")) });
  }
  if (status !== 200) throw refused({ status, body: undefined }, { code: "BUILD_FAILED", doing, hint: HINT });
}

type Message = { readonly id: string | undefined; readonly text: string; readonly error: string | undefined };

/** The engine's messages about long work: one JSON object a line, or the single object of an error answer. */
async function* messagesOf(body: IncomingMessage): AsyncGenerator<Message> {
  let rest = "";
  body.setEncoding("utf8");
  for await (const piece of body) {
    const lines = (rest + String(piece)).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) if (line.trim() !== "") yield parseMessage(line);
  }
  if (rest.trim() !== "") yield parseMessage(rest);
}

function parseMessage(line: string): Message {
  const message: unknown = JSON.parse(line);
  const text = (key: string): string | undefined => (isJson(message) ? optionalStringAt(message, key) : undefined);
  return { id: text("id"), text: text("stream") ?? text("status") ?? text("message") ?? "", error: text("error") };
}

function made(image: StoredImage | undefined, ref: string): StoredImage {
  if (image !== undefined) return image;
  throw new SandboxError("BUILD_FAILED", `The engine has not got ${ref} after making it.`, HINT);
}
