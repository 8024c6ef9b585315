import { createRunId } from "../../core/ids.ts";
import { findGuestFiles } from "../guest-files.ts";
import type { Engine, EngineInfo } from "../port.ts";
import type { Watchdog } from "../watchdog.ts";
import type { Client } from "./client.ts";
import { listContainers, removeRun } from "./containers.ts";
import { createContainer } from "./docker-container.ts";
import { createImageStore } from "./docker-images.ts";
import { notAnEngine } from "./engine-error.ts";
import { readFacts } from "./facts.ts";
import { removeUnusedGuests } from "./guest-leftovers.ts";
import { findGuestVolume } from "./guest-volume.ts";
import { type FindRegistryAuth, findImage, pullImage } from "./images.ts";
import { isJson, optionalStringAt } from "./json.ts";
import type { Workshop } from "./make-container.ts";
import { type Dialect, dialectOf } from "./podman.ts";
import { needsTls } from "./tls-error.ts";

/** Where this package keeps what goes into containers. */
export type Shipped = { readonly guestDirectory: string; readonly seccompFile: string; readonly watchdog?: Watchdog | undefined };

/** An engine that answered: what it is, and the client to talk to it with. */
export type Found = { readonly client: Client; readonly info: EngineInfo; readonly dialect: Dialect };

/** Asks what listens there for its name and version within `timeout` ms. Throws `NOT_AN_ENGINE` and the errors of the connection. */
export async function greet(client: Client, timeout: number): Promise<Found> {
  const { status, body } = await client.ask({ method: "GET", path: "/version", timeout });
  const version = optionalStringAt(body, "Version");
  if (status !== 200)
    throw needsTls(client.url, { status, body }) ?? notAnEngine(client.url, `it answers GET /version with status ${status}`);
  if (!isJson(body) || version === undefined || optionalStringAt(body, "ApiVersion") === undefined)
    throw notAnEngine(client.url, "its answer to GET /version names no version");
  const dialect = dialectOf(body);
  return { client, dialect, info: { name: dialect, version, endpoint: client.url, arch: optionalStringAt(body, "Arch") ?? "amd64" } };
}

/** The engine port over the Docker Engine API, as Docker Engine and Podman serve it. `findAuth` finds the logins for pulling. */
export function createDockerEngine({ client, info, dialect }: Found, shipped: Shipped, findAuth: FindRegistryAuth): Engine {
  const workshops = new Map<string, Promise<Workshop>>();
  openWorkshop(info.arch).catch(() => undefined);

  /** What containers of one architecture share; looked up once, and for the engine's own architecture before it is needed. */
  function openWorkshop(arch: string): Promise<Workshop> {
    const open = workshops.get(arch) ?? prepare(arch);
    workshops.set(arch, open);
    return open;
  }

  async function prepare(arch: string): Promise<Workshop> {
    const files = await findGuestFiles(arch, { directory: shipped.guestDirectory, seccompFile: shipped.seccompFile });
    const volume = findGuestVolume(client, files.version);
    volume.catch(() => undefined);
    return { client, dialect, files, volume, watchdog: shipped.watchdog };
  }

  return {
    info,
    findImage: (ref) => findImage(client, ref),
    pullImage: (ref, options) => pullImage(client, { ref, findAuth, ...options }),
    newRun: () => createRunId(),
    create: async (spec) => createContainer(await openWorkshop(spec.image.arch), spec),
    list: () => listContainers(client),
    remove: (run) => removeRun(client, run),
    removeUnusedGuests: async () => removeUnusedGuests(client, (await openWorkshop(info.arch)).files.version),
    facts: () => readFacts(client),
    removeIfKilled: (path) => {
      shipped.watchdog?.arm(path);
      return { [Symbol.dispose]: () => shipped.watchdog?.disarm(path) };
    },
    images: createImageStore(client, info.arch, findAuth),
    close: () => {
      void shipped.watchdog?.[Symbol.asyncDispose]();
      client.close();
    },
  };
}
