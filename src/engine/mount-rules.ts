import { lstat, readdir, realpath, stat } from "node:fs/promises";
import { basename, dirname, isAbsolute, posix } from "node:path";
import { SandboxError, systemCode } from "../core/errors.ts";
import { type BindMount, isReservedTarget } from "./posture.ts";

/** Sources that hold the kernel's interfaces: nothing of them belongs inside. */
const KERNEL_PLACES = ["/proc", "/sys", "/dev"];
const ENGINE_SOCKET = /^(docker|podman|containerd|crio|cri-dockerd|buildkitd)\.sock$/;
/** Where engines keep their sockets below `/run` and below a home directory: whoever gets a directory above one gets the engine. */
const ENGINE_PLACES = [
  ...[
    "docker.sock",
    "podman/podman.sock",
    "containerd/containerd.sock",
    "crio/crio.sock",
    "docker/containerd/containerd.sock",
    "buildkit/buildkitd.sock",
  ],
  ...["desktop/docker.sock", "default/docker.sock", ".docker/run/docker.sock", ".docker/desktop/docker.sock"],
  ...[".colima/default/docker.sock", ".rd/docker.sock", ".orbstack/run/docker.sock"],
];

/**
 * Judges a host path that is to be mounted and gives its real path. Refused are `/`, what lies in `/proc`, `/sys` or `/dev`, any UNIX
 * socket, and directories in which an engine's socket lies, whatever symbolic links lead there; and targets that are not absolute and
 * normal or belong to the kernel or the guest. Throws `BAD_MOUNT`.
 */
export async function resolveMount(mount: BindMount): Promise<BindMount> {
  assertTarget(mount.target);
  const source = await realSource(mount.source);
  assertSource(source, mount.source);
  const found = await stat(source);
  if (found.isSocket()) throw badMount(mount.source, "is a socket: whoever can use it acts on this machine");
  if (!found.isDirectory() && !found.isFile()) throw badMount(mount.source, "is neither a file nor a directory");
  if (found.isDirectory()) await assertNoEngineInside(source, mount.source);
  return { source, target: mount.target, writable: mount.writable };
}

function assertTarget(target: string): void {
  const normal = posix.normalize(target);
  if (!posix.isAbsolute(target) || normal !== target || (target.endsWith("/") && target !== "/") || /[\p{Cc}:,]/u.test(target)) {
    throw new SandboxError(
      "BAD_MOUNT",
      `The mount target ${JSON.stringify(target)} is not a plain absolute path.`,
      "Write it as /data or /data/files: no dots, no double or closing slashes, no commas or colons.",
    );
  }
  if (isReservedTarget(target)) {
    throw new SandboxError(
      "BAD_MOUNT",
      `Nothing can be mounted at ${JSON.stringify(target)} inside of the sandbox.`,
      "Choose another target, such as /data.",
    );
  }
}

async function realSource(source: string): Promise<string> {
  if (!isAbsolute(source) || source.includes("\0")) throw badMount(source, "is not an absolute path");
  try {
    return await realpath(source);
  } catch (error) {
    throw new SandboxError(
      "BAD_MOUNT",
      `The mount source ${JSON.stringify(source)} cannot be used (${systemCode(error) ?? "unknown"}).`,
      "Name an existing file or directory.",
      { cause: error },
    );
  }
}

function assertSource(real: string, given: string): void {
  if (real === "/") throw badMount(given, "is the whole machine");
  if (real === "/run" || real === "/var/run") throw badMount(given, "is where this machine's services listen");
  const place = KERNEL_PLACES.find((kernel) => real === kernel || real.startsWith(`${kernel}/`));
  if (place !== undefined) throw badMount(given, `lies in ${place}`);
  if (ENGINE_SOCKET.test(basename(real))) throw badMount(given, "is an engine's socket");
}

/** Looks for engine sockets in the directory and in the places below it that engines use. */
async function assertNoEngineInside(directory: string, given: string): Promise<void> {
  const candidates = ["", "run/", "var/run/"].flatMap((prefix) => ENGINE_PLACES.map((place) => `${directory}/${prefix}${place}`));
  const here = (await readdir(directory).catch(() => [])).filter((name) => name.endsWith(".sock")).map((name) => `${directory}/${name}`);
  for (const path of [...candidates, ...here]) {
    if (ENGINE_SOCKET.test(basename(path)) && (await isSocket(path)))
      throw badMount(given, `holds the engine's socket ${basename(dirname(path))}/${basename(path)}`);
  }
}

async function isSocket(path: string): Promise<boolean> {
  try {
    return (await lstat(path)).isSocket();
  } catch {
    return false;
  }
}

function badMount(source: string, why: string): SandboxError {
  return new SandboxError(
    "BAD_MOUNT",
    `The mount source ${JSON.stringify(source)} ${why}.`,
    "Mount a directory that holds only what the task needs.",
  );
}
