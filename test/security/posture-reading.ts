import { readFileSync } from "node:fs";
import { z } from "zod";

/** What `programs/posture.c` prints. */
const readingSchema = z.strictObject({
  namespaces: z.record(z.string(), z.string()),
  descriptors: z.record(z.string(), z.string()),
  texts: z.record(z.string(), z.union([z.string(), z.strictObject({ error: z.number() })])),
  limits: z.record(z.string(), z.tuple([z.union([z.number(), z.literal("unlimited")]), z.union([z.number(), z.literal("unlimited")])])),
  environment: z.array(z.string()),
  hostname: z.string(),
  domainname: z.string(),
  hidden: z.record(z.string(), z.string()),
  writableDirectories: z.array(z.string()),
  writableFiles: z.array(z.string()),
  devices: z.array(z.string()),
  setIdFiles: z.array(z.string()),
  sockets: z.array(z.string()),
});

export type Reading = z.infer<typeof readingSchema>;

/** What a sandbox is compared with to tell its own from the engine's. */
export type Surroundings = {
  /** Namespaces of the engine, by name. */
  readonly engine: Readonly<Record<string, string>>;
  /** What a plain container of this engine reads. */
  readonly plain: Reading;
};

export function parseReading(text: string): Reading {
  return readingSchema.parse(JSON.parse(text));
}

/** Limits of such a height carry a command's number (`docs/decisions/marks.md`). */
const NUMBERS_FROM = 2 ** 62;

/** A reading in words that are the same on every machine: what is left is what holds the sandbox down. */
export function describeReading(reading: Reading, { engine, plain }: Surroundings) {
  return {
    namespaces: mapValues(reading.namespaces, (id, name) => (id === "" ? "untold" : id === engine[name] ? "the engine's" : "own")),
    command: credentials(textOf(reading, "/proc/self/status")),
    guest: { ...credentials(textOf(reading, "/proc/1/status")), commandLine: textOf(reading, "/proc/1/cmdline") },
    mounts: mounts(textOf(reading, "/proc/self/mountinfo")),
    quotas: quotas(reading),
    limits: mapValues(reading.limits, (limit, name) => {
      if (JSON.stringify(limit) === JSON.stringify(plain.limits[name])) return "the engine's";
      return limit.every((value) => value !== "unlimited" && value >= NUMBERS_FROM) ? "the command's number" : limit.join(" ");
    }),
    outOfMemory: { command: number(reading, "/proc/self/oom_score_adj"), guest: number(reading, "/proc/1/oom_score_adj") },
    environment: reading.environment.toSorted(),
    names: {
      hostname: reading.hostname,
      domainname: reading.domainname === plain.domainname ? "the engine's" : reading.domainname,
      ...Object.fromEntries(["/etc/hostname", "/etc/hosts", "/etc/resolv.conf"].map((path) => [path, textOf(reading, path)])),
    },
    descriptors: mapValues(reading.descriptors, (target) => target.replace(/:\[\d+\]$/, "")),
    network: network(reading),
    hidden: Object.entries(reading.hidden).flatMap(([path, state]) => (state === "open" ? [path] : [])),
    writableDirectories: reading.writableDirectories.toSorted(),
    writableFiles: reading.writableFiles.filter(isNoCover).toSorted(),
    devices: reading.devices.filter(isNoCover).toSorted(),
    setIdFiles: reading.setIdFiles.toSorted(),
    sockets: reading.sockets.toSorted(),
  };
}

/** What the engine says about a container, in words that are the same on every machine. Fields that say nothing are left out. */
export function describeInspection(inspection: unknown) {
  const { Config, HostConfig, Mounts, NetworkSettings } = inspectionSchema.parse(inspection);
  const { Labels: _labels, Image: _image, ...config } = Config;
  const { MaskedPaths, ReadonlyPaths, SecurityOpt, LogConfig, ...hostConfig } = HostConfig;
  return withoutRunNames({
    Config: config,
    HostConfig: { ...hostConfig, LogConfig, SecurityOpt: SecurityOpt.map(nameOfProfile).toSorted() },
    unmasked: MASKED.filter((path) => !MaskedPaths.includes(path)),
    notReadOnly: READ_ONLY.filter((path) => !ReadonlyPaths.includes(path)),
    Mounts,
    networks: Object.keys(NetworkSettings.Networks),
  });
}

const fields = z.record(z.string(), z.unknown());
const inspectionSchema = z.object({
  Config: fields,
  HostConfig: z.looseObject({ MaskedPaths: z.array(z.string()), ReadonlyPaths: z.array(z.string()), SecurityOpt: z.array(z.string()) }),
  Mounts: z.array(z.unknown()),
  NetworkSettings: z.object({ Networks: fields }),
});

/** What every engine hides; newer ones hide more. */
const MASKED = ["acpi", "asound", "kcore", "keys", "latency_stats", "sched_debug", "scsi", "timer_list", "timer_stats"]
  .map((name) => `/proc/${name}`)
  .concat("/sys/firmware");
const READ_ONLY = ["bus", "fs", "irq", "sys", "sysrq-trigger"].map((name) => `/proc/${name}`);

/** Every rule of the profile, without what is written in it for people. */
const PROFILE: unknown = JSON.parse(readFileSync(new URL("../../images/seccomp.json", import.meta.url), "utf8"), (key, value: unknown) =>
  key === "comment" ? undefined : value,
);

function nameOfProfile(option: string): string {
  const [, profile] = /^seccomp=(\{.*)$/s.exec(option) ?? [];
  if (profile === undefined) return option;
  return JSON.stringify(JSON.parse(profile)) === JSON.stringify(PROFILE) ? "seccomp=images/seccomp.json" : "seccomp=another profile";
}

/** The guest's volume carries its version, and lies where the engine keeps its volumes. */
function withoutRunNames(value: unknown): unknown {
  const text = JSON.stringify(value, (_key, member: unknown) => (saysNothing(member) ? undefined : member));
  const named = text.replaceAll(/belljar-guest-[0-9a-f]{12}/g, "belljar-guest-VERSION").replaceAll(/"[0-9a-f]{12}"/g, '"VERSION"');
  return JSON.parse(named.replaceAll(/"[^"]*\/belljar-guest-VERSION\/_data"/g, '"the volume"'));
}

function saysNothing(member: unknown): boolean {
  if (member === null || member === "" || member === 0 || member === false) return true;
  if (Array.isArray(member)) return member.every(saysNothing);
  return typeof member === "object" && Object.values(member).every(saysNothing);
}

/** An engine covers files of the kernel with `/dev/null`. */
function isNoCover(entry: string): boolean {
  return !/^\/(proc|sys)\/.* c 1:3$/.test(entry);
}

function textOf(reading: Reading, path: string): string {
  const text = reading.texts[path];
  return typeof text === "string" ? text.replaceAll("\0", "") : "untold";
}

function number(reading: Reading, path: string): number | "untold" {
  const text = textOf(reading, path);
  return text === "untold" ? text : Number(text);
}

/** Numbers of users, groups and capabilities, and the two switches that no process can turn back. */
function credentials(status: string): Record<string, string> {
  const wanted = ["Uid", "Gid", "Groups", "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp"];
  const lines = new Map(status.split("\n").map((line) => [line.split(":")[0], line.replace(/^\w+:\s*/, "").trim()]));
  return Object.fromEntries(wanted.map((name) => [name, lines.get(name)?.replaceAll(/\s+/g, " ") ?? "untold"]));
}

const KERNEL_FILE_SYSTEMS = new Set(["proc", "sysfs", "tmpfs", "devpts", "mqueue", "cgroup", "cgroup2"]);
/** Options of a tmpfs that bound it or say whose it is; how a disk is tuned says nothing. */
const BOUNDS = /^(size|nr_inodes|mode|uid|gid)=/;

/**
 * Mounts as `path type options`. Those of control groups become one, whatever their version; those that cover a part of `/proc` or
 * `/sys` depend on the kernel and are left to `hidden` and to the writable places.
 */
function mounts(mountinfo: string): readonly string[] {
  const lines = mountinfo.split("\n").filter((line) => line !== "");
  return [...new Set(lines.flatMap(mount))].sort();
}

function mount(line: string): readonly string[] {
  const [before = "", after = ""] = line.split(" - ");
  const [, , , , path = "", options = ""] = before.split(" ");
  const [type = "", , tuning = ""] = after.split(" ");
  const kept = options.split(",").filter((option) => !option.endsWith("atime"));
  if (type.startsWith("cgroup")) return [`/sys/fs/cgroup cgroup ${kept.toSorted().join(",")}`];
  if (/^\/(proc|sys)\/./.test(path)) return [];
  const bounds = type === "tmpfs" ? tuning.split(",").filter((option) => BOUNDS.test(option)) : [];
  return [[path, KERNEL_FILE_SYSTEMS.has(type) ? type : "disk", kept.toSorted().join(","), ...bounds].join(" ")];
}

/** Version 1 counts memory together with swap, version 2 each for itself. */
function quotas(reading: Reading) {
  const memory = number(reading, "/sys/fs/cgroup/memory/memory.limit_in_bytes");
  if (memory === "untold") {
    return {
      memory: number(reading, "/sys/fs/cgroup/memory.max"),
      swap: number(reading, "/sys/fs/cgroup/memory.swap.max"),
      cpus: share(textOf(reading, "/sys/fs/cgroup/cpu.max").split(" ")),
      pids: number(reading, "/sys/fs/cgroup/pids.max"),
    };
  }
  return {
    memory,
    swap: Number(textOf(reading, "/sys/fs/cgroup/memory/memory.memsw.limit_in_bytes")) - memory,
    cpus: share(["quota", "period"].map((name) => textOf(reading, `/sys/fs/cgroup/cpu/cpu.cfs_${name}_us`))),
    pids: number(reading, "/sys/fs/cgroup/pids/pids.max"),
  };
}

function share([quota, period]: readonly string[]): number | "untold" {
  return quota === "untold" ? quota : Number(quota) / Number(period);
}

/** Interfaces, routes that lead anywhere but back, and sockets that exist, each with its own end in the kernel's hexadecimal. */
function network(reading: Reading) {
  const rows = (name: string): readonly string[] =>
    textOf(reading, `/proc/net/${name}`)
      .split("\n")
      .filter((line) => line.trim() !== "" && line !== "untold");
  const sockets = ["tcp", "tcp6", "udp", "udp6", "raw", "raw6", "unix", "packet"];
  return {
    interfaces: rows("dev")
      .slice(2)
      .map((row) => row.trim().split(":")[0]),
    routes: [...rows("route").slice(1), ...rows("ipv6_route").filter((row) => !row.endsWith(" lo"))],
    sockets: sockets.flatMap((name) =>
      rows(name)
        .slice(1)
        .map((row) => `${name} ${row.trim().split(/\s+/)[1] ?? ""}`),
    ),
    firstPort: number(reading, "/proc/sys/net/ipv4/ip_unprivileged_port_start"),
  };
}

function mapValues<T, U>(record: Readonly<Record<string, T>>, change: (value: T, name: string) => U): Record<string, U> {
  return Object.fromEntries(Object.entries(record).map(([name, value]) => [name, change(value, name)]));
}
