import { type BindMount, GUEST_DIRECTORY, type Posture, type Tmpfs, WORKSPACE } from "../posture.ts";

/** What a container is made from besides its posture; `seccomp` is in the form that this engine takes. */
export type ContainerParts = {
  readonly imageId: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly guestVolume: { readonly name: string; readonly labels: Readonly<Record<string, string>> };
  readonly seccomp: string;
  readonly keep: boolean;
};

/** The body of a create request, as far as we fill it in. */
export type ContainerBody = ReturnType<typeof containerBody>;

/** CPU quota in units of 1e-9 CPUs, the unit of the Engine API. */
const NANO = 1_000_000_000;
/** The kernel ends a task before the host's own processes; the guest raises its children further. */
const OOM_SCORE_ADJ = 500;

/**
 * Translates a posture into the body of `POST /containers/create` (Docker Engine API 1.41). Pure. What an image asks for in its
 * own configuration (USER, ENTRYPOINT, CMD, WORKDIR, HEALTHCHECK, VOLUME, STOPSIGNAL) is overridden here.
 */
export function containerBody(posture: Posture, parts: ContainerParts) {
  return {
    Image: parts.imageId,
    Hostname: posture.hostname,
    Domainname: "",
    User: `${posture.user.uid}:${posture.user.gid}`,
    WorkingDir: "/",
    Entrypoint: [`${GUEST_DIRECTORY}/guest`],
    Cmd: [] as readonly string[],
    Env: [] as readonly string[],
    Labels: parts.labels,
    Tty: false,
    OpenStdin: true,
    StdinOnce: true,
    AttachStdin: true,
    AttachStdout: true,
    AttachStderr: true,
    NetworkDisabled: true,
    Healthcheck: { Test: ["NONE"] },
    StopSignal: "SIGKILL",
    HostConfig: hostConfig(posture, parts),
  };
}

function hostConfig(posture: Posture, parts: ContainerParts) {
  return {
    ...(posture.runtime === undefined ? {} : { Runtime: posture.runtime }),
    AutoRemove: !parts.keep,
    Init: false,
    Privileged: false,
    ReadonlyRootfs: true,
    CapAdd: [] as readonly string[],
    CapDrop: ["ALL"],
    SecurityOpt: ["no-new-privileges", `seccomp=${parts.seccomp}`],
    GroupAdd: [] as readonly string[],
    NetworkMode: "none",
    IpcMode: "none",
    PidMode: "",
    UTSMode: "",
    CgroupnsMode: "private",
    Memory: posture.memoryBytes,
    MemorySwap: posture.memoryBytes,
    NanoCpus: Math.round(posture.cpus * NANO),
    PidsLimit: posture.pids,
    OomScoreAdj: OOM_SCORE_ADJ,
    Ulimits: posture.limits.map((limit) => ({ Name: limit.name, Soft: limit.value, Hard: limit.value })),
    Sysctls: { "net.ipv4.ip_unprivileged_port_start": "0" },
    Tmpfs: Object.fromEntries(posture.writable.map((place) => [place.path, tmpfsOptions(place, posture.user)])),
    Mounts: [guestMount(parts.guestVolume), ...posture.mounts.map(bindMount)],
    LogConfig: { Type: "none", Config: {} },
    RestartPolicy: { Name: "no" },
  };
}

/** Mode of a writable place. The places that a system shares look the way programs expect them. */
export function tmpfsMode(place: Tmpfs): string {
  return place.path === WORKSPACE ? "0755" : "1777";
}

function tmpfsOptions(place: Tmpfs, user: Posture["user"]): string {
  return [
    `size=${place.bytes}`,
    `nr_inodes=${place.inodes}`,
    `mode=${tmpfsMode(place)}`,
    `uid=${user.uid}`,
    `gid=${user.gid}`,
    "nosuid",
    "nodev",
    place.exec ? "exec" : "noexec",
  ].join(",");
}

/** `NoCopy` keeps what the image has below the guest's directory out of the volume. */
function guestMount(volume: ContainerParts["guestVolume"]) {
  return {
    Type: "volume",
    Source: volume.name,
    Target: GUEST_DIRECTORY,
    ReadOnly: true,
    VolumeOptions: { NoCopy: true, Labels: volume.labels },
  };
}

/**
 * A host path. A read-only mount is not recursive: older engines make only the top mount read-only, and what is mounted below the
 * source would stay writable.
 */
function bindMount(mount: BindMount) {
  return {
    Type: "bind",
    Source: mount.source,
    Target: mount.target,
    ReadOnly: !mount.writable,
    BindOptions: { Propagation: "rprivate", NonRecursive: !mount.writable },
  };
}
