import { posix } from "node:path";
import { SandboxError } from "../core/errors.ts";

/**
 * Everything that holds a container down, as plain data that an adapter translates. `resolvePosture` is the only maker: there is
 * no field that switches a protection off, only the quotas and places that the task asks for.
 */
export type Posture = {
  readonly user: { readonly uid: number; readonly gid: number };
  readonly hostname: string;
  /** An OCI runtime known to the engine, or the engine's own default. */
  readonly runtime: string | undefined;
  readonly memoryBytes: number;
  /** CPUs as a fraction: 0.5 is half a core. */
  readonly cpus: number;
  /** Processes and threads, the guest included. */
  readonly pids: number;
  readonly limits: readonly { readonly name: "nofile" | "core" | "fsize"; readonly value: number }[];
  readonly writable: readonly Tmpfs[];
  readonly mounts: readonly BindMount[];
};

/** A writable place: tmpfs, `nosuid,nodev`, bounded in bytes and inodes, owned by the task's user. */
export type Tmpfs = { readonly path: string; readonly bytes: number; readonly inodes: number; readonly exec: boolean };

/** A host directory or file, judged by `resolveMount`; `source` is its real path. */
export type BindMount = { readonly source: string; readonly target: string; readonly writable: boolean };

/** What a task may choose of it. */
export type PostureRequest = Pick<Posture, "user" | "hostname" | "runtime" | "memoryBytes" | "cpus" | "pids" | "mounts"> & {
  readonly workspaceBytes: number;
  readonly tmpBytes: number;
  /** Paths that the image declares as volumes: each is covered by a small tmpfs, so that the engine makes none. */
  readonly imageVolumes: readonly string[];
};

/** Size of `/dev/shm` in bytes. */
const SHM_BYTES = 16 * 1024 * 1024;
/** Size in bytes of the tmpfs that covers a path that the image declares as a volume. */
const IMAGE_VOLUME_BYTES = 8 * 1024 * 1024;

/** Directory of the guest inside of every container. */
export const GUEST_DIRECTORY = "/.belljar";
/** Where the task works and where its files are copied to. */
export const WORKSPACE = "/workspace";

const INODE_BYTES = 4096;
const INODE_FLOOR = 1024;
const OPEN_FILES = 4096;
/** Places that belong to the kernel and to the guest: nothing of an image or of the caller is mounted there. */
const RESERVED = ["/proc", "/sys", "/dev", GUEST_DIRECTORY];

/**
 * Fills in everything that holds the container down. Sizes in bytes. Throws `BAD_QUOTA` when the writable places do not fit into the
 * memory that pays for them, and `UNSUPPORTED` for an image whose declared volumes cannot be covered.
 */
export function resolvePosture(request: PostureRequest): Posture {
  const writable = resolveWritable(request);
  assertFits(writable, request);
  const largestFile = Math.max(request.workspaceBytes, request.tmpBytes);
  return {
    user: request.user,
    hostname: request.hostname,
    runtime: request.runtime,
    memoryBytes: request.memoryBytes,
    cpus: request.cpus,
    pids: request.pids,
    limits: [
      { name: "nofile", value: OPEN_FILES },
      { name: "core", value: 0 },
      { name: "fsize", value: largestFile },
    ],
    writable,
    mounts: request.mounts,
  };
}

/** Whether `path` is `/`, or lies at or below a place that belongs to the kernel or to the guest. `path` is absolute and normal. */
export function isReservedTarget(path: string): boolean {
  return path === "/" || RESERVED.some((place) => path === place || path.startsWith(`${place}/`));
}

function resolveWritable(request: PostureRequest): readonly Tmpfs[] {
  const places = [
    tmpfs(WORKSPACE, { bytes: request.workspaceBytes, exec: true }),
    tmpfs("/tmp", { bytes: request.tmpBytes, exec: true }),
    tmpfs("/dev/shm", { bytes: SHM_BYTES, exec: false }),
  ];
  const taken = new Set(request.mounts.map((mount) => mount.target));
  const wanted = new Map(places.filter((place) => !taken.has(place.path)).map((place) => [place.path, place]));
  for (const declared of request.imageVolumes) {
    const path = normalVolumePath(declared);
    if (taken.has(path) || wanted.has(path)) continue;
    if (isReservedTarget(path)) throw uncoverable(declared);
    wanted.set(path, tmpfs(path, { bytes: IMAGE_VOLUME_BYTES, exec: true }));
  }
  return [...wanted.values()];
}

function tmpfs(path: string, { bytes, exec }: { readonly bytes: number; readonly exec: boolean }): Tmpfs {
  return { path, bytes, exec, inodes: inodesOf(bytes) };
}

/** The mount options of a tmpfs are separated by commas and its path ends at a colon: a path with either could smuggle options in. */
function normalVolumePath(declared: string): string {
  if (!declared.startsWith("/") || /[\p{Cc},:]/u.test(declared)) throw uncoverable(declared);
  const path = posix.normalize(declared);
  return path.length > 1 && path.endsWith("/") ? path.slice(0, -1) : path;
}

function uncoverable(declared: string): SandboxError {
  return new SandboxError(
    "UNSUPPORTED",
    `The image declares a volume at ${JSON.stringify(declared)}, where none can be covered.`,
    "Use an image whose VOLUME paths are absolute and outside of /proc, /sys and /dev.",
  );
}

function assertFits(writable: readonly Tmpfs[], request: PostureRequest): void {
  const needed = writable.reduce((sum, place) => sum + place.bytes, 0);
  if (needed <= request.memoryBytes) return;
  const list = writable.map((place) => `${place.path} ${inMebibytes(place.bytes)}`).join(", ");
  throw new SandboxError(
    "BAD_QUOTA",
    `The writable places need ${inMebibytes(needed)} (${list}), more than the memory limit of ${inMebibytes(request.memoryBytes)} that pays for them.`,
    `Raise --memory to at least ${inMebibytes(needed)}, or lower --disk or --tmp-size.`,
  );
}

function inMebibytes(bytes: number): string {
  return `${Math.ceil(bytes / 1024 / 1024)}m`;
}

/** Inodes of a writable place of this size: one for each page, so that a disk of small files is full of bytes and of inodes at once. */
export function inodesOf(bytes: number): number {
  return Math.max(INODE_FLOOR, Math.floor(bytes / INODE_BYTES));
}
