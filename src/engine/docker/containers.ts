import { SandboxError } from "../../core/errors.ts";
import { isRunId } from "../../core/ids.ts";
import { containerName, LABEL, OWN_FILTER, recognise } from "../ownership.ts";
import type { OwnedContainer } from "../port.ts";
import { ASK_TIMEOUT, type Client } from "./client.ts";
import { destroyContainer } from "./destroy.ts";
import { refused } from "./engine-error.ts";
import { listAt, numberAt, objectAt, optionalStringAt, stringAt, textsOf } from "./json.ts";

/** Containers of ours on this engine, running or not. What only looks like ours is left out. */
export async function listContainers(client: Client): Promise<readonly OwnedContainer[]> {
  const filters = JSON.stringify({ label: [OWN_FILTER] });
  const answer = await client.ask({ method: "GET", path: "/containers/json", query: { all: "true", filters }, timeout: ASK_TIMEOUT });
  if (answer.status !== 200 || !Array.isArray(answer.body))
    throw refused(answer, { code: "ENGINE_LOST", doing: "list its containers", hint: "Run `sandbox doctor`." });
  return answer.body.flatMap((item: unknown) => parseListed(item) ?? []);
}

/** Ends and removes the container of `run`; `false` when there is none of ours under its name. */
export async function removeRun(client: Client, run: string): Promise<boolean> {
  if (!isRunId(run)) throw new SandboxError("NO_SUCH_RUN", `${JSON.stringify(run)} is not a run id.`, "Take the id from: sandbox ps.");
  const answer = await client.ask({ method: "GET", path: `/containers/${containerName(run)}/json`, timeout: ASK_TIMEOUT });
  if (answer.status === 404) return false;
  if (answer.status !== 200)
    throw refused(answer, { code: "ENGINE_LOST", doing: `look for the run ${run}`, hint: "Run `sandbox doctor`." });
  const name = stringAt(answer.body, "Name").replace(/^\//, "");
  if (recognise(name, textsOf(objectAt(objectAt(answer.body, "Config"), "Labels"))) === undefined) return false;
  await destroyContainer(client, { id: stringAt(answer.body, "Id"), removal: undefined });
  return true;
}

function parseListed(item: unknown): OwnedContainer | undefined {
  const [first] = listAt(item, "Names");
  const name = typeof first === "string" ? first.replace(/^\//, "") : "";
  const labels = textsOf(objectAt(item, "Labels"));
  const ours = recognise(name, labels);
  if (ours === undefined) return undefined;
  return {
    ...ours,
    id: stringAt(item, "Id"),
    name,
    image: labels[LABEL.image] ?? shortId(optionalStringAt(item, "Image") ?? ""),
    state: optionalStringAt(item, "State") ?? "unknown",
    created: new Date(numberAt(item, "Created") * 1000),
    labels,
  };
}

/** Containers are made from ids, which is all that an engine has to say about the image of one that carries no name. */
function shortId(image: string): string {
  return /^sha256:[0-9a-f]{64}$/.test(image) ? image.slice("sha256:".length, "sha256:".length + 12) : image;
}
