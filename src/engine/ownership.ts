import { execFileSync } from "node:child_process";
import { readFileSync, readlinkSync } from "node:fs";
import { isRunId } from "../core/ids.ts";
import type { Owner } from "./port.ts";

/** Version of the labels below; another version is not recognised as ours. */
const LABEL_VERSION = "1";
export const LABEL = {
  run: "sandbox.run",
  pid: "sandbox.owner.pid",
  start: "sandbox.owner.start",
  boot: "sandbox.owner.boot",
  version: "sandbox.version",
  keep: "sandbox.keep",
  guest: "sandbox.guest",
  /** What the user called the image; it says nothing about whose a container is. */
  image: "sandbox.image",
} as const;

/** What selects candidates on the engine; `recognise` then decides. */
export const OWN_FILTER = `${LABEL.version}=${LABEL_VERSION}`;

/** Name of the container of a run. */
export function containerName(run: string): string {
  return `sandbox-${run}`;
}

export function ownershipLabels(
  run: string,
  { owner, keep }: { readonly owner: Owner; readonly keep: boolean },
): Readonly<Record<string, string>> {
  return {
    [LABEL.run]: run,
    [LABEL.pid]: String(owner.pid),
    [LABEL.start]: owner.start,
    [LABEL.boot]: owner.boot,
    [LABEL.version]: LABEL_VERSION,
    [LABEL.keep]: String(keep),
  };
}

export type Recognised = { readonly run: string; readonly owner: Owner; readonly kept: boolean };

/**
 * Reads the labels of ownership. Only what carries every one of them, each in its exact shape, under the name that belongs to its
 * run is ours; anything else is `undefined` and must not be touched.
 */
export function recognise(name: string, labels: Readonly<Record<string, string>>): Recognised | undefined {
  const run = labels[LABEL.run];
  const pid = labels[LABEL.pid];
  const start = labels[LABEL.start];
  const boot = labels[LABEL.boot];
  const keep = labels[LABEL.keep];
  if (run === undefined || pid === undefined || start === undefined || boot === undefined) return undefined;
  if (labels[LABEL.version] !== LABEL_VERSION || !isRunId(run) || name !== containerName(run)) return undefined;
  if (!/^[1-9]\d{0,9}$/.test(pid) || start === "" || boot === "" || (keep !== "true" && keep !== "false")) return undefined;
  return { run, owner: { pid: Number(pid), start, boot }, kept: keep === "true" };
}

/** This process as an owner. */
export function currentOwner(): Owner {
  return { pid: process.pid, start: ownStart(), boot: currentBoot() };
}

/**
 * Whether an owner still runs, as far as this process can tell: `elsewhere` when it belongs to another boot, another machine or
 * another pid namespace, where a pid says nothing. A zombie is dead: it holds no descriptor any more.
 */
export function judgeOwner(owner: Owner): "alive" | "dead" | "elsewhere" {
  if (owner.boot !== currentBoot() || owner.boot === UNKNOWN) return "elsewhere";
  return startsMatch(owner) ? "alive" : "dead";
}

const UNKNOWN = "unknown";

let knownStart: string | undefined;

function ownStart(): string {
  knownStart ??= process.platform === "linux" ? (linuxStart(process.pid) ?? UNKNOWN) : String(Math.round(performance.timeOrigin / 1000));
  return knownStart;
}

function startsMatch(owner: Owner): boolean {
  if (process.platform === "linux") return linuxStart(owner.pid) === owner.start;
  const seconds = listedStart(owner.pid);
  return seconds !== undefined && Math.abs(seconds - Number(owner.start)) <= START_SLACK;
}

/** `ps` rounds to whole seconds, and Node.js notes its start a little after the kernel does. */
const START_SLACK = 2;

/** Field 22 of `/proc/<pid>/stat` (proc(5)); the command name before it may hold spaces and parentheses. */
function linuxStart(pid: number): string | undefined {
  const stat = readText(`/proc/${pid}/stat`);
  const fields = stat?.slice(stat.lastIndexOf(")") + 2).split(" ");
  if (fields === undefined || fields[0] === "Z" || fields[0] === "X") return undefined;
  return fields[19];
}

function listedStart(pid: number): number | undefined {
  try {
    const listed = execFileSync("ps", ["-o", "lstart=", "-p", String(pid)], {
      encoding: "utf8",
      env: { LC_ALL: "C" },
      stdio: ["ignore", "pipe", "ignore"],
    });
    const time = Date.parse(listed.trim());
    return Number.isNaN(time) ? undefined : time / 1000;
  } catch {
    return undefined;
  }
}

let knownBoot: string | undefined;

/** The kernel's boot id with the pid namespace, since both must be the same for a pid to mean the same process. */
function currentBoot(): string {
  knownBoot ??= process.platform === "linux" ? linuxBoot() : darwinBoot();
  return knownBoot;
}

function linuxBoot(): string {
  const boot = readText("/proc/sys/kernel/random/boot_id")?.trim();
  try {
    const namespace = readlinkSync("/proc/self/ns/pid").replace(/\D/g, "");
    return boot === undefined || namespace === "" ? UNKNOWN : `${boot}.${namespace}`;
  } catch {
    return UNKNOWN;
  }
}

function darwinBoot(): string {
  try {
    return (
      execFileSync("sysctl", ["-n", "kern.bootsessionuuid"], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).trim() || UNKNOWN
    );
  } catch {
    return UNKNOWN;
  }
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}
