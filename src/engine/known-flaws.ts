/**
 * A flaw of a component that lets a container out or weakens what holds it; `fixed` lists the first good version of each release line. `outOfReach`
 * says what of a sandbox keeps the flaw from being used, where something does.
 */
export type Flaw = { readonly id: string; readonly what: string; readonly fixed: readonly string[]; readonly outOfReach?: string };

const NO_CAPABILITY = "a sandbox has no capability and can gain none";
const NO_NAMESPACE = "the filter of system calls allows no new namespace";

/**
 * Published flaws of what containers are made with. A version is good when it is at least the fix of its own release line, or newer than every
 * line listed.
 */
const FLAWS: Readonly<Record<string, readonly Flaw[]>> = {
  runc: [
    {
      id: "CVE-2024-21626",
      what: "a leaked descriptor leads out of the container",
      fixed: ["1.1.12"],
      outOfReach: "a sandbox starts in /, whatever its image says, and nothing is executed in it later",
    },
    {
      id: "CVE-2024-45310",
      what: "empty files can be created on the host",
      fixed: ["1.1.14", "1.2.0"],
      outOfReach: "sandboxes share no place that they can write to, unless two of them get the same --mount with :rw",
    },
    {
      id: "CVE-2025-31133",
      what: "masked paths can be made writable",
      fixed: ["1.2.8", "1.3.3", "1.4.0"],
      outOfReach: "nothing can be mounted at /dev, so that no other container can change it during the start",
    },
  ],
  crun: [
    { id: "CVE-2022-27650", what: "processes start with inheritable capabilities", fixed: ["1.4.4"], outOfReach: NO_CAPABILITY },
    {
      id: "CVE-2025-24965",
      what: "the krun handler writes to the host",
      fixed: ["1.20"],
      outOfReach: "only the runtime krun has it, which is not used unless you name it",
    },
  ],
  containerd: [
    {
      id: "CVE-2022-23648",
      what: "an image can read files of the host",
      fixed: ["1.4.13", "1.5.10", "1.6.1"],
      outOfReach: "only containers that Kubernetes starts have it",
    },
    {
      id: "CVE-2024-40635",
      what: "a large user id becomes root",
      fixed: ["1.6.38", "1.7.27", "2.0.4"],
      outOfReach: "the user comes from --user and not from the image, and the engine refuses one so large",
    },
  ],
  docker: [
    { id: "CVE-2021-41091", what: "users of the host can enter the data directory", fixed: ["20.10.9"] },
    {
      id: "CVE-2022-36109",
      what: "supplementary groups are not set up",
      fixed: ["20.10.18"],
      outOfReach: "no program in a sandbox can change its group",
    },
    {
      id: "CVE-2024-41110",
      what: "authorisation plugins can be passed by",
      fixed: ["23.0.15", "25.0.6", "26.1.5", "27.1.1"],
      outOfReach: "nothing in a sandbox can speak to the engine",
    },
  ],
  podman: [{ id: "CVE-2022-27649", what: "processes start with inheritable capabilities", fixed: ["4.0.3"], outOfReach: NO_CAPABILITY }],
  kernel: [
    { id: "CVE-2022-0847", what: "read-only files can be overwritten (Dirty Pipe)", fixed: ["5.10.102", "5.15.25", "5.16.11"] },
    {
      id: "CVE-2022-0185",
      what: "a file system context overflows",
      fixed: ["5.4.173", "5.10.93", "5.15.16", "5.16.2"],
      outOfReach: NO_NAMESPACE,
    },
    {
      id: "CVE-2024-1086",
      what: "nf_tables frees twice",
      fixed: ["5.4.269", "5.10.210", "5.15.149", "6.1.76", "6.6.15", "6.7.3"],
      outOfReach: NO_NAMESPACE,
    },
  ],
};

/** The flaws of `component` (`runc`, `crun`, `containerd`, `docker`, `podman`, `kernel`) at `version`; empty when the version cannot be read. */
export function knownFlaws(component: string, version: string): readonly Flaw[] {
  const numbers = parseVersion(version);
  if (numbers === undefined) return [];
  return (FLAWS[component] ?? []).filter((flaw) => isBefore(numbers, flaw.fixed));
}

/** Whether a distribution built this version, so that fixes may be in it without a new number. */
export function mayBePatched(version: string): boolean {
  return /[+~]|-\d|deb|ubuntu|\.el\d|\.fc\d|amzn|rhel|suse|generic/i.test(version);
}

type Version = readonly [major: number, minor: number, patch: number];

function parseVersion(text: string): Version | undefined {
  const [, major, minor, patch] = /^v?(\d+)\.(\d+)(?:\.(\d+))?/.exec(text) ?? [];
  return major === undefined || minor === undefined ? undefined : [Number(major), Number(minor), Number(patch ?? 0)];
}

function isBefore(version: Version, fixed: readonly string[]): boolean {
  const fixes = fixed.map(parseVersion).filter((fix) => fix !== undefined);
  const sameLine = fixes.find((fix) => fix[0] === version[0] && fix[1] === version[1]);
  if (sameLine !== undefined) return version[2] < sameLine[2];
  return fixes.some((fix) => fix[0] > version[0] || (fix[0] === version[0] && fix[1] > version[1]));
}
