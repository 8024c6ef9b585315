import { type Flaw, knownFlaws, mayBePatched } from "./known-flaws.ts";
import type { EngineFacts } from "./port.ts";

/**
 * One line of `sandbox doctor`: what was looked at, whether it holds, and what to do if not (empty when nothing has to be done). A `fail` means that a
 * promise cannot be kept, a `warn` that one wall less holds it, and a `note` is only to be known.
 */
export type Finding = {
  readonly name: string;
  readonly status: "ok" | "note" | "warn" | "fail";
  readonly detail: string;
  readonly remedy: string;
};

/** Judges what an engine says about itself and its machine. Pure. */
export function judgeHost(facts: EngineFacts): readonly Finding[] {
  return [
    judgeEngine(facts),
    judgeLimits(facts),
    judgeSwap(facts),
    judgeCgroups(facts),
    judgeSeccomp(facts),
    judgeSecurityModule(facts),
    judgeUserNamespace(facts),
    judgeInodes(facts),
    judgeRuntimes(facts),
    ...facts.components.flatMap(({ name, version }) => judgeVersion(name, version)),
    ...judgeVersion("kernel", facts.kernel),
  ];
}

function ok(name: string, detail: string): Finding {
  return { name, status: "ok", detail, remedy: "" };
}

function judgeEngine({ name, version, apiVersion, endpoint, os }: EngineFacts): Finding {
  const detail = `${name} ${version}, API ${apiVersion}, at ${endpoint}`;
  if (os === "linux") return ok("engine", detail);
  return { name: "engine", status: "fail", detail: `${detail}, runs ${os} containers`, remedy: "Switch the engine to Linux containers." };
}

function judgeLimits({ limits }: EngineFacts): Finding {
  const missing = Object.entries({ memory: limits.memory, CPU: limits.cpu, processes: limits.pids }).filter(([, can]) => !can);
  if (missing.length === 0) return ok("limits", "memory, CPU and processes can be limited");
  const names = missing.map(([name]) => name).join(", ");
  return {
    name: "limits",
    status: "fail",
    detail: `these cannot be limited: ${names}`,
    remedy: "Delegate the cgroup controllers to the engine (rootless: systemd with cgroup v2), or use a rootful engine.",
  };
}

function judgeSwap({ limits }: EngineFacts): Finding {
  if (limits.swap) return ok("swap", "sandboxes get no swap");
  return {
    name: "swap",
    status: "warn",
    detail: "swap cannot be limited, so that a sandbox may use the machine's",
    remedy: "Boot with swapaccount=1, use cgroup v2, or switch swap off.",
  };
}

function judgeCgroups({ cgroupVersion, name }: EngineFacts): Finding {
  if (cgroupVersion === "2") return ok("cgroups", "version 2");
  const also = name === "podman" ? ", and Podman shows the host's cgroup names inside" : "";
  return {
    name: "cgroups",
    status: "warn",
    detail: `version ${cgroupVersion === "" ? "unknown" : cgroupVersion}; limits hold, but it is no longer developed${also}`,
    remedy: "Boot with systemd.unified_cgroup_hierarchy=1 where the distribution offers it.",
  };
}

function judgeSeccomp({ seccomp }: EngineFacts): Finding {
  if (seccomp) return ok("seccomp", "system calls can be filtered");
  return {
    name: "seccomp",
    status: "fail",
    detail: "the engine cannot filter system calls",
    remedy: "Use a kernel with CONFIG_SECCOMP_FILTER and an engine built with seccomp.",
  };
}

function judgeSecurityModule({ apparmor, selinux }: EngineFacts): Finding {
  if (apparmor || selinux) return ok("security module", apparmor ? "AppArmor" : "SELinux");
  return {
    name: "security module",
    status: "warn",
    detail: "neither AppArmor nor SELinux confines containers, so that one wall less stands behind the others",
    remedy: "Enable the one that the distribution offers, then restart the engine.",
  };
}

function judgeUserNamespace({ rootless, userns }: EngineFacts): Finding {
  if (rootless) return ok("user namespace", "the engine runs without root");
  if (userns) return ok("user namespace", "container users are mapped to users without rights");
  return {
    name: "user namespace",
    status: "warn",
    detail: "the engine runs as root and maps no users, so that a process that broke out would be a user of this machine",
    remedy: "Use a rootless engine, dockerd's userns-remap, or a runtime such as gVisor (--runtime runsc).",
  };
}

function judgeInodes({ name }: EngineFacts): Finding {
  if (name !== "podman") return ok("inodes", "files in writable places can be counted and limited");
  return {
    name: "inodes",
    status: "warn",
    detail: "Podman's API cannot limit the number of files; the memory limit bounds them",
    remedy: "Use Docker Engine where that matters.",
  };
}

function judgeRuntimes({ runtimes, defaultRuntime, unlimitedRuntimes, name }: EngineFacts): Finding {
  const strong = runtimes.filter((runtime) => /runsc|kata/.test(runtime));
  const detail = `default ${defaultRuntime}; offered: ${runtimes.join(", ")}`;
  if (unlimitedRuntimes.length > 0) {
    return {
      name: "runtimes",
      status: "warn",
      detail: `${detail}; under ${unlimitedRuntimes.join(", ")} no limit of memory, CPU or processes holds, since the engine passes --ignore-cgroups to it`,
      remedy: "Take --ignore-cgroups out of the runtime's arguments in the engine's configuration where control groups can be written.",
    };
  }
  if (strong.length > 0 && name === "docker") return ok("runtimes", `${detail}; use --runtime ${strong[0]} for a kernel of its own`);
  return ok("runtimes", detail);
}

/** Flaws that no sandbox meets are named all the same: who has read of them elsewhere wants to know. */
function judgeVersion(component: string, version: string): readonly Finding[] {
  const flaws = knownFlaws(component, version);
  const serious = flaws.filter(({ outOfReach }) => outOfReach === undefined);
  const notes = flaws.filter(({ outOfReach }) => outOfReach !== undefined).map((flaw) => noteFlaw(component, flaw));
  if (serious.length === 0) return [ok(component, version), ...notes];
  return [judgeFlaws(component, { version, flaws: serious, good: flaws.at(-1)?.fixed.join(", ") ?? "" }), ...notes];
}

function noteFlaw(component: string, { id, what, outOfReach = "" }: Flaw): Finding {
  return {
    name: component,
    status: "note",
    detail: `is older than the fix of ${id} (${what}), which cannot be used here: ${outOfReach}`,
    remedy: "",
  };
}

type Flawed = { readonly version: string; readonly flaws: readonly Flaw[]; readonly good: string };

function judgeFlaws(component: string, { version, flaws, good }: Flawed): Finding {
  const detail = `${version} is older than the fix of ${flaws.map(({ id, what }) => `${id} (${what})`).join(", ")}`;
  if (!mayBePatched(version)) return { name: component, status: "fail", detail, remedy: `Install ${component} ${good} or newer.` };
  return {
    name: component,
    status: "warn",
    detail: `${detail}, unless the distribution has put it in`,
    remedy: `Look the number up in the distribution's security tracker, or install ${component} ${good} or newer.`,
  };
}
