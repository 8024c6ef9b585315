import type { EngineFacts } from "../port.ts";
import { ASK_TIMEOUT, type Client } from "./client.ts";
import { refused } from "./engine-error.ts";
import { flagAt, listAt, objectAt, optionalStringAt } from "./json.ts";
import { dialectOf } from "./podman.ts";

/** Reads what the engine tells about itself (`GET /version`, `GET /info`). */
export async function readFacts(client: Client): Promise<EngineFacts> {
  const [version, info] = await Promise.all([
    client.ask({ method: "GET", path: "/version", timeout: ASK_TIMEOUT }),
    client.ask({ method: "GET", path: "/info", timeout: ASK_TIMEOUT }),
  ]);
  if (info.status !== 200) throw refused(info, { code: "ENGINE_LOST", doing: "describe itself", hint: "Check the engine's own log." });
  const name = dialectOf(version.body);
  const security = listAt(info.body, "SecurityOptions").filter((option) => typeof option === "string");
  const has = (module: string): boolean => security.some((option) => option.startsWith(`name=${module}`));
  return {
    name,
    version: optionalStringAt(version.body, "Version") ?? "",
    apiVersion: optionalStringAt(version.body, "ApiVersion") ?? "",
    endpoint: client.url,
    os: optionalStringAt(info.body, "OSType") ?? "linux",
    kernel: optionalStringAt(info.body, "KernelVersion") ?? "",
    cgroupVersion: optionalStringAt(info.body, "CgroupVersion") ?? "",
    limits: {
      memory: flagAt(info.body, "MemoryLimit"),
      swap: flagAt(info.body, "SwapLimit"),
      cpu: flagAt(info.body, "CpuCfsQuota"),
      pids: flagAt(info.body, "PidsLimit"),
    },
    seccomp: has("seccomp"),
    apparmor: has("apparmor"),
    selinux: has("selinux"),
    userns: has("userns"),
    rootless: has("rootless"),
    runtimes: Object.keys(objectAt(info.body, "Runtimes")),
    unlimitedRuntimes: unlimited(objectAt(info.body, "Runtimes")),
    defaultRuntime: optionalStringAt(info.body, "DefaultRuntime") ?? "",
    components: [{ name, version: optionalStringAt(version.body, "Version") ?? "" }, ...components(version.body)],
  };
}

/** Runtimes that this engine tells to leave control groups alone: under them no limit of memory, CPU or processes holds. */
function unlimited(runtimes: Readonly<Record<string, unknown>>): readonly string[] {
  return Object.keys(runtimes).filter((name) => listAt(runtimes[name], "runtimeArgs").includes("--ignore-cgroups"));
}

/** Components that a known flaw is looked up for; Podman names its runtime `OCI Runtime (crun)` and prints several lines. */
function components(version: unknown): EngineFacts["components"] {
  return listAt(version, "Components").flatMap((component) => {
    const name = /\b(runc|crun|containerd)\b/.exec(optionalStringAt(component, "Name") ?? "")?.[1];
    const [, number] = /(\d+\.\d\S*)/.exec(optionalStringAt(component, "Version") ?? "") ?? [];
    return name === undefined || number === undefined ? [] : [{ name, version: number }];
  });
}
