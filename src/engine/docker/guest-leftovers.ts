import { LABEL } from "../ownership.ts";
import { ASK_TIMEOUT, type Client } from "./client.ts";
import { guestVolumeVersion } from "./guest-volume.ts";
import { isJson, listAt, numberAt, objectAt, optionalStringAt, textsOf } from "./json.ts";

/** A filling takes a second; a helper this old in milliseconds has nobody any more. */
const ABANDONED_AFTER = 10 * 60 * 1000;

/** Removes the guest volumes of other versions than `current` that no container uses, and helpers of fillings that never ended. */
export async function removeUnusedGuests(client: Client, current: string): Promise<readonly string[]> {
  const filters = JSON.stringify({ label: [LABEL.guest] });
  const helpers = await client.ask({ method: "GET", path: "/containers/json", query: { all: "true", filters }, timeout: ASK_TIMEOUT });
  const old = (Array.isArray(helpers.body) ? helpers.body : []).filter((item: unknown) => isOldHelper(item));
  await Promise.all(old.map((item: unknown) => remove(client, `/containers/${optionalStringAt(item, "Id") ?? ""}`)));
  const volumes = await client.ask({ method: "GET", path: "/volumes", query: { filters }, timeout: ASK_TIMEOUT });
  const names = listAt(volumes.body, "Volumes").flatMap((item) => unusedName(item, current) ?? []);
  const removed = await Promise.all(names.map((name) => remove(client, `/volumes/${name}`)));
  return names.filter((_name, index) => removed[index] === true);
}

function unusedName(item: unknown, current: string): string | undefined {
  const name = optionalStringAt(item, "Name") ?? "";
  const version = guestVolumeVersion(name, textsOf(objectAt(item, "Labels")));
  return version === undefined || version === current ? undefined : name;
}

function isOldHelper(item: unknown): boolean {
  const [name] = listAt(item, "Names");
  if (!isJson(item) || typeof name !== "string") return false;
  const volume = name.replace(/^\//, "").replace(/-fill$/, "");
  if (!name.endsWith("-fill") || guestVolumeVersion(volume, textsOf(objectAt(item, "Labels"))) === undefined) return false;
  return item["State"] !== "running" && Date.now() - numberAt(item, "Created") * 1000 > ABANDONED_AFTER;
}

/** The engine refuses with 409 while a container uses the volume: that is the answer to whether it is unused. */
async function remove(client: Client, path: string): Promise<boolean> {
  const answer = await client.ask({ method: "DELETE", path, timeout: ASK_TIMEOUT });
  return answer.status === 204;
}
