import { SandboxError } from "../../core/errors.ts";
import type { Posture, Tmpfs } from "../posture.ts";
import { type ContainerBody, tmpfsMode } from "./container-body.ts";
import { type GuestVolume, hostsPath } from "./guest-volume.ts";
import { listAt, optionalStringAt } from "./json.ts";

/** Engines that speak the Docker Engine API, each in its own way. */
export type Dialect = "docker" | "podman";

/** Reads the dialect from the answer of `GET /version`. */
export function dialectOf(version: unknown): Dialect {
  const names = listAt(version, "Components").map((component) => optionalStringAt(component, "Name"));
  return names.some((name) => name?.startsWith("Podman") === true) ? "podman" : "docker";
}

/**
 * What Podman's API wants said differently. Namespaces that its `containers.conf` may share are asked for by name, and `nproc` is set, since
 * its default may lie above what the service may grant. A tmpfs has no inode limit (inodes count as kernel memory, which the memory limit
 * bounds), gets its owner by `U`, and must be told not to copy the image's files up. `/run` and `/var/tmp`, which it makes writable in
 * a read-only container, are covered. The host's name and address, which it writes into `/etc/hosts`, are hidden by our own file.
 */
export function podmanBody(body: ContainerBody, { posture, volume }: { readonly posture: Posture; readonly volume: GuestVolume }): object {
  const host = body.HostConfig;
  const limits = [...host.Ulimits, { Name: "nproc", Soft: posture.pids, Hard: posture.pids }];
  const tmpfs = Object.fromEntries(posture.writable.map((place) => [place.path, podmanTmpfs(place)]));
  const taken = new Set(posture.mounts.map((mount) => mount.target));
  const covers = Object.fromEntries(UNWANTED_TMPFS.filter((path) => !taken.has(path)).map((path) => [path, COVER]));
  const hosts = taken.has("/etc/hosts") ? [] : [readOnlyFile(hostsPath(volume), "/etc/hosts")];
  return {
    ...body,
    HostConfig: {
      ...host,
      PidMode: "private",
      UTSMode: "private",
      Ulimits: limits,
      Tmpfs: { ...covers, ...tmpfs },
      Mounts: [...host.Mounts, ...hosts],
    },
  };
}

/** Podman's API takes a runtime and uses its own default all the same. Throws `RUNTIME_MISSING`. */
export function assertNoRuntime({ runtime }: Posture): void {
  if (runtime === undefined) return;
  throw new SandboxError(
    "RUNTIME_MISSING",
    `Podman's API cannot be asked for the runtime ${JSON.stringify(runtime)}.`,
    "Set it as the default runtime in containers.conf and leave --runtime out, or use Docker Engine.",
  );
}

/** What Podman makes writable by itself beside `/tmp`. */
const UNWANTED_TMPFS = ["/run", "/var/tmp"];
const COVER = "ro,size=4096,mode=0755,notmpcopyup,nosuid,nodev,noexec";

function podmanTmpfs(place: Tmpfs): string {
  return [`size=${place.bytes}`, `mode=${tmpfsMode(place)}`, "U", "notmpcopyup", "nosuid", "nodev", place.exec ? "exec" : "noexec"].join(
    ",",
  );
}

function readOnlyFile(source: string, target: string) {
  return { Type: "bind", Source: source, Target: target, ReadOnly: true, BindOptions: { Propagation: "rprivate" } };
}
