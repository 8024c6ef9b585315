import { SandboxError } from "../../core/errors.ts";
import type { Image } from "../port.ts";
import { ASK_TIMEOUT, type Client } from "./client.ts";
import { messageOf, plain, refused } from "./engine-error.ts";
import { listAt, objectAt, optionalStringAt, parseJson, stringAt, textsOf } from "./json.ts";

/** Looks an image up on the engine, or gives `undefined`. */
export async function findImage(client: Client, ref: string): Promise<Image | undefined> {
  const answer = await client.ask({ method: "GET", path: `/images/${encodeRef(ref)}/json`, timeout: ASK_TIMEOUT });
  if (answer.status === 404) return undefined;
  if (answer.status !== 200)
    throw refused(answer, {
      code: "NO_IMAGE",
      doing: `look the image ${JSON.stringify(ref)} up`,
      hint: "Check how the image is written: name:tag or name@sha256:….",
    });
  return parseImage(ref, answer.body);
}

/** Finds the `X-Registry-Auth` that pulling `ref` takes, or `undefined` to pull without a login. */
export type FindRegistryAuth = (ref: string, signal: AbortSignal) => Promise<string | undefined>;

export type Pull = {
  readonly ref: string;
  readonly findAuth: FindRegistryAuth;
  readonly onProgress: (line: string) => void;
  readonly signal: AbortSignal;
};

const PROGRESS_INTERVAL = 250;

/** Pulls an image and reports progress a few times a second. Throws `PULL_FAILED` with the engine's own reason. */
export async function pullImage(client: Client, { ref, findAuth, onProgress, signal }: Pull): Promise<Image> {
  const registryAuth = await findAuth(ref, signal);
  const query = { fromImage: withTag(ref) };
  const { status, body } = await client.stream({ method: "POST", path: "/images/create", query, registryAuth, signal });
  let reported = 0;
  let rest = "";
  let last = "";
  body.setEncoding("utf8");
  for await (const text of body) {
    const lines = (rest + String(text)).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) {
      last = line;
      const progress = parseProgress(line);
      if (progress.error !== undefined) throw pullFailed(ref, progress.error);
      if (Date.now() - reported < PROGRESS_INTERVAL || progress.text === "") continue;
      reported = Date.now();
      onProgress(progress.text);
    }
  }
  const { error } = parseProgress(rest);
  if (error !== undefined) throw pullFailed(ref, error);
  if (status !== 200) throw pullFailed(ref, messageOf({ status, body: parseJson(rest === "" ? last : rest) }));
  const image = await findImage(client, ref);
  if (image === undefined) throw pullFailed(ref, "the engine has not got it afterwards");
  return image;
}

function parseImage(ref: string, body: unknown): Image {
  const config = objectAt(body, "Config");
  const environment = listAt(config, "Env").filter((entry) => typeof entry === "string");
  const digests = listAt(body, "RepoDigests").filter((entry) => typeof entry === "string");
  return {
    ref,
    id: stringAt(body, "Id"),
    digest: digests.map((entry) => entry.slice(entry.indexOf("@") + 1)).find((digest) => digest.startsWith("sha256:")),
    arch: optionalStringAt(body, "Architecture") || "amd64",
    path: environment.find((entry) => entry.startsWith("PATH="))?.slice("PATH=".length),
    volumes: Object.keys(objectAt(config, "Volumes")),
    labels: textsOf(objectAt(config, "Labels")),
  };
}

/** A reference keeps its slashes and colons; everything that could end the path of a request is escaped. */
function encodeRef(ref: string): string {
  return ref.split("/").map(encodeURIComponent).join("/").replaceAll("%3A", ":").replaceAll("%40", "@");
}

/** Without a tag an engine would pull every tag of the repository. */
function withTag(ref: string): string {
  const name = ref.slice(ref.lastIndexOf("/") + 1);
  return name.includes(":") || name.includes("@") ? ref : `${ref}:latest`;
}

function parseProgress(line: string): { readonly text: string; readonly error: string | undefined } {
  const message = parseJson(line);
  const text = [optionalStringAt(message, "id"), optionalStringAt(message, "status"), optionalStringAt(message, "progress")]
    .filter((part) => part !== undefined)
    .join(" ");
  return { text: plain(text), error: optionalStringAt(message, "error") };
}

function pullFailed(ref: string, why: string): SandboxError {
  return new SandboxError(
    "PULL_FAILED",
    `The image ${JSON.stringify(ref)} could not be pulled: ${plain(why)}.`,
    "Check the name, the network, and whether the registry wants a login (docker login).",
  );
}
