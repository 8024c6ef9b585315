import { SandboxError } from "../../core/errors.ts";
import type { GuestFiles } from "../guest-files.ts";
import { containerName, currentOwner, LABEL, ownershipLabels } from "../ownership.ts";
import type { ContainerSpec } from "../port.ts";
import type { Watchdog } from "../watchdog.ts";
import type { Answer, Client } from "./client.ts";
import { containerBody } from "./container-body.ts";
import { cannotCreate } from "./container-error.ts";
import { destroyContainer } from "./destroy.ts";
import { plain } from "./engine-error.ts";
import { fillGuestVolume, findGuestVolume, type GuestVolume, isGuestMissing, seccompPath } from "./guest-volume.ts";
import { listAt, stringAt } from "./json.ts";
import { assertNoRuntime, type Dialect, podmanBody } from "./podman.ts";

/** What the containers of one engine have in common. */
export type Workshop = {
  readonly client: Client;
  readonly dialect: Dialect;
  readonly files: GuestFiles;
  /** The guest's volume as it was found when the engine was; `undefined` when it was missing. */
  readonly volume: Promise<GuestVolume | undefined>;
  readonly watchdog: Watchdog | undefined;
};

/** Creating and starting take as long as the engine's disks and cgroups do. */
export const CREATE_TIMEOUT = 60_000;

/**
 * Makes the container and gives its id, after filling the volume where it is missing; an engine that keeps the profile there says so only now.
 * Throws `NO_IMAGE`, `RUNTIME_MISSING`, `BAD_QUOTA`, `CREATE_FAILED`, `GUEST_MISSING`, `UNSUPPORTED` where a limit would be ignored, and the
 * errors of the connection.
 */
export async function makeContainer(workshop: Workshop, spec: ContainerSpec): Promise<string> {
  const { client, dialect, files, watchdog } = workshop;
  if (dialect === "podman") assertNoRuntime(spec.posture);
  const filling = { files, imageId: spec.image.id, watchdog };
  const volume = (await workshop.volume) ?? (await findGuestVolume(client, files.version)) ?? (await fillGuestVolume(client, filling));
  let answer = await askCreate(workshop, { spec, volume });
  if (answer.status !== 201 && isGuestMissing(answer))
    answer = await askCreate(workshop, { spec, volume: await fillGuestVolume(client, filling) });
  if (answer.status !== 201) {
    workshop.watchdog?.disarm(containerName(spec.run));
    throw cannotCreate(answer, spec);
  }
  const id = stringAt(answer.body, "Id");
  const warnings = listAt(answer.body, "Warnings").filter((warning) => typeof warning === "string");
  const ignored = warnings.find((warning) => /discarded/i.test(warning));
  if (ignored === undefined) return id;
  await destroyContainer(client, { id, removal: undefined });
  throw new SandboxError(
    "UNSUPPORTED",
    `The engine would ignore a limit: ${plain(ignored)}.`,
    "Run `sandbox doctor` to see what this machine cannot limit.",
  );
}

/** The watchdog starts while the engine works: arming it first would make every run wait for it. */
function askCreate(
  { client, dialect, files, watchdog }: Workshop,
  { spec, volume }: { readonly spec: ContainerSpec; readonly volume: GuestVolume },
): Promise<Answer> {
  const body = containerBody(spec.posture, {
    imageId: spec.image.id,
    labels: {
      ...spec.labels,
      ...ownershipLabels(spec.run, { owner: currentOwner(), keep: spec.keep }),
      [LABEL.image]: spec.image.ref,
    },
    guestVolume: volume,
    seccomp: dialect === "podman" ? seccompPath(volume) : files.seccomp,
    keep: spec.keep,
  });
  const json = dialect === "podman" ? podmanBody(body, { posture: spec.posture, volume }) : body;
  const answer = client.ask({
    method: "POST",
    path: "/containers/create",
    query: { name: containerName(spec.run) },
    json,
    timeout: CREATE_TIMEOUT,
  });
  watchdog?.arm(containerName(spec.run));
  return answer;
}
