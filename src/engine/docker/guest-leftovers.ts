import { LABEL } from "../ownership.ts";
import { ASK_TIMEOUT, type Client } from "./client.ts";
import { guestVolumeVersion } from "./guest-volume.ts";
import { listAt, objectAt, optionalStringAt, textsOf } from "./json.ts";

/** Removes the guest volumes of other versions than `current` that no container uses. */
export async function removeUnusedGuests(client: Client, current: string): Promise<readonly string[]> {
  const filters = JSON.stringify({ label: [LABEL.guest] });
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

/** The engine refuses with 409 while a container uses the volume: that is the answer to whether it is unused. */
async function remove(client: Client, path: string): Promise<boolean> {
  const answer = await client.ask({ method: "DELETE", path, timeout: ASK_TIMEOUT });
  return answer.status === 204;
}
