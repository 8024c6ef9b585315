import { SandboxError } from "../../core/errors.ts";
import { createRunId } from "../../core/ids.ts";
import { type GuestFiles, sha256Of } from "../guest-files.ts";
import { containerName, currentOwner, LABEL, ownershipLabels } from "../ownership.ts";
import { GUEST_DIRECTORY } from "../posture.ts";
import type { Watchdog } from "../watchdog.ts";
import { type Answer, ASK_TIMEOUT, type Client } from "./client.ts";
import { messageOf, refused } from "./engine-error.ts";
import { stringAt } from "./json.ts";
import { firstTarFile, packTar } from "./tar.ts";

/** The volume on the engine that holds the guest, the seccomp profile and a hosts file, read-only in every container. */
export type GuestVolume = {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Where the volume lies on the engine's own machine. */
  readonly mountpoint: string;
};

type Filling = { readonly files: GuestFiles; readonly imageId: string; readonly watchdog: Watchdog | undefined };

const NAME = /^belljar-guest-([0-9a-f]{12})$/;
const FILL_TIMEOUT = 15_000;
const SECCOMP_FILE = "seccomp.json";
const HOSTS_FILE = "hosts";
const HOSTS = "127.0.0.1 localhost\n::1 localhost\n";

/** The version in the name of a guest volume, or `undefined` for any other volume. */
export function guestVolumeVersion(name: string, labels: Readonly<Record<string, string>>): string | undefined {
  const version = NAME.exec(name)?.[1];
  return version !== undefined && labels[LABEL.guest] === version ? version : undefined;
}

/** Looks the volume of `version` up; `undefined` when this engine has not got it yet. */
export async function findGuestVolume(client: Client, version: string): Promise<GuestVolume | undefined> {
  const name = volumeName(version);
  const answer = await client.ask({ method: "GET", path: `/volumes/${name}`, timeout: ASK_TIMEOUT });
  if (answer.status === 404) return undefined;
  if (answer.status !== 200) throw cannotFill(answer);
  return { name, labels: { [LABEL.guest]: version }, mountpoint: stringAt(answer.body, "Mountpoint") };
}

/**
 * Puts the guest into its volume through a helper container of this process that is created, never started, and removed. The guest
 * appears under its own name at once and whole, as a hard link to a file that is complete and nobody else's: many processes can fill
 * one volume at the same time, and one that dies half-way keeps nobody waiting.
 */
export async function fillGuestVolume(client: Client, { files, imageId, watchdog }: Filling): Promise<GuestVolume> {
  const volume = await makeVolume(client, files.version);
  const run = createRunId();
  const helper = containerName(run);
  watchdog?.arm(helper);
  try {
    await createHelper(client, { run, volume, imageId });
    await fillThrough(client, { helper, files });
  } finally {
    await removeHelper(client, helper);
    watchdog?.disarm(helper);
  }
  return volume;
}

/** Of many processes that make it at once, Docker tells each that it did, and Podman all but one that it is there already. */
async function makeVolume(client: Client, version: string): Promise<GuestVolume> {
  const name = volumeName(version);
  const labels = { [LABEL.guest]: version };
  const made = await client.ask({ method: "POST", path: "/volumes/create", json: { Name: name, Labels: labels }, timeout: ASK_TIMEOUT });
  if (made.status === 201) return { name, labels, mountpoint: stringAt(made.body, "Mountpoint") };
  const found = /already exists/i.test(messageOf(made)) ? await findGuestVolume(client, version) : undefined;
  if (found === undefined) throw cannotFill(made);
  return found;
}

/** Whether an engine's complaint says that the volume lacks one of its files. */
export function isGuestMissing(answer: { readonly status: number; readonly body: unknown }): boolean {
  const message = messageOf(answer);
  return (
    (message.includes(`${GUEST_DIRECTORY}/guest`) || message.includes(`/${SECCOMP_FILE}`) || message.includes(`_data/${HOSTS_FILE}`)) &&
    /no such file|not found|does not exist/i.test(message)
  );
}

/** Path of the profile on the engine's own machine, for an engine that reads it from there. */
export function seccompPath(volume: GuestVolume): string {
  return `${volume.mountpoint}/${SECCOMP_FILE}`;
}

/** Path of a plain `/etc/hosts` on the engine's own machine. */
export function hostsPath(volume: GuestVolume): string {
  return `${volume.mountpoint}/${HOSTS_FILE}`;
}

function volumeName(version: string): string {
  return `belljar-guest-${version}`;
}

type HelperParts = { readonly run: string; readonly volume: GuestVolume; readonly imageId: string };

async function createHelper(client: Client, { run, volume, imageId }: HelperParts): Promise<void> {
  const answer = await client.ask({
    method: "POST",
    path: "/containers/create",
    query: { name: containerName(run) },
    json: {
      Image: imageId,
      Entrypoint: [`${GUEST_DIRECTORY}/guest`],
      Cmd: [],
      Labels: ownershipLabels(run, { owner: currentOwner(), keep: false }),
      NetworkDisabled: true,
      HostConfig: {
        NetworkMode: "none",
        CapDrop: ["ALL"],
        Mounts: [{ Type: "volume", Source: volume.name, Target: GUEST_DIRECTORY, VolumeOptions: { NoCopy: true } }],
      },
    },
    timeout: ASK_TIMEOUT,
  });
  if (answer.status !== 201) throw cannotFill(answer);
}

/** Of many that fill at once, some are told that what they write has gone, since another one replaces it: then they look again. */
const MOST_TRIES = 8;

type Through = { readonly helper: string; readonly files: GuestFiles };

async function fillThrough(client: Client, { helper, files }: Through): Promise<void> {
  for (let left = MOST_TRIES; ; left -= 1) {
    if ((await readBack(client, helper)) === files.sha256) return;
    const put = await putFiles(client, { helper, files });
    if (put.status !== 200 && left <= 1) throw cannotFill(put);
    const found = await readBack(client, helper);
    if (found === files.sha256) return;
    if (left <= 1)
      throw new SandboxError(
        "GUEST_MISSING",
        `The engine keeps another guest than the one it was given: its sha256 is ${found ?? "unknown"}, not ${files.sha256}.`,
        `Remove the volume ${volumeName(files.version)} and run again.`,
      );
  }
}

async function putFiles(client: Client, { helper, files }: Through): Promise<Answer> {
  const tar = packTar([
    { name: SECCOMP_FILE, mode: 0o644, content: Buffer.from(files.seccomp) },
    { name: HOSTS_FILE, mode: 0o644, content: Buffer.from(HOSTS) },
    { name: `${helper}.part`, mode: 0o755, content: await files.read() },
    { name: "guest", linkTo: `${helper}.part` },
  ]);
  return client.ask({
    method: "PUT",
    path: `/containers/${helper}/archive`,
    query: { path: GUEST_DIRECTORY },
    tar,
    timeout: FILL_TIMEOUT,
  });
}

async function readBack(client: Client, helper: string): Promise<string | undefined> {
  const { status, body } = await client.stream({
    method: "GET",
    path: `/containers/${helper}/archive`,
    query: { path: `${GUEST_DIRECTORY}/guest` },
    timeout: FILL_TIMEOUT,
  });
  const chunks: Buffer[] = [];
  for await (const chunk of body) if (Buffer.isBuffer(chunk)) chunks.push(chunk);
  if (status !== 200) return undefined;
  const file = firstTarFile(Buffer.concat(chunks));
  return file === undefined ? undefined : sha256Of(file);
}

async function removeHelper(client: Client, helper: string): Promise<void> {
  await client.ask({ method: "DELETE", path: `/containers/${helper}`, query: { force: "true", v: "true" }, timeout: ASK_TIMEOUT });
}

function cannotFill(answer: { readonly status: number; readonly body: unknown }): SandboxError {
  return refused(answer, { code: "CREATE_FAILED", doing: "take the guest", hint: "Run `sandbox doctor`." });
}
