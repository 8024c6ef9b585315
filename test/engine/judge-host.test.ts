import { describe, expect, it } from "vitest";
import { judgeHost } from "../../src/engine/judge-host.ts";
import { knownFlaws, mayBePatched } from "../../src/engine/known-flaws.ts";
import type { EngineFacts } from "../../src/engine/port.ts";

const GOOD: EngineFacts = {
  name: "docker",
  version: "28.5.2",
  apiVersion: "1.51",
  endpoint: "unix:///var/run/docker.sock",
  os: "linux",
  kernel: "6.12.60",
  cgroupVersion: "2",
  limits: { memory: true, swap: true, cpu: true, pids: true },
  seccomp: true,
  apparmor: true,
  selinux: false,
  userns: true,
  rootless: false,
  runtimes: ["runc", "runsc"],
  unlimitedRuntimes: [],
  defaultRuntime: "runc",
  components: [
    { name: "docker", version: "28.5.2" },
    { name: "containerd", version: "2.2.0" },
    { name: "runc", version: "1.3.4" },
  ],
};

function finding(change: Partial<EngineFacts>, name: string) {
  return judgeHost({ ...GOOD, ...change }).find((each) => each.name === name);
}

describe("the judgement of a machine", () => {
  it("finds nothing wrong with a good one", () => {
    expect(judgeHost(GOOD).filter(({ status }) => status !== "ok")).toEqual([]);
  });

  it.each([
    ["limits", { limits: { ...GOOD.limits, pids: false } }, "fail"],
    ["swap", { limits: { ...GOOD.limits, swap: false } }, "warn"],
    ["cgroups", { cgroupVersion: "1" }, "warn"],
    ["seccomp", { seccomp: false }, "fail"],
    ["security module", { apparmor: false }, "warn"],
    ["user namespace", { userns: false }, "warn"],
    ["inodes", { name: "podman" }, "warn"],
    ["runtimes", { unlimitedRuntimes: ["runsc"] }, "warn"],
    ["engine", { os: "windows" }, "fail"],
    ["kernel", { kernel: "5.15.10" }, "fail"],
  ] as const)("says of %s what to do about it", (name, change, status) => {
    const found = finding(change, name);
    expect(found).toMatchObject({ name, status });
    expect(found?.remedy).toMatch(/\.$/);
  });

  it("fails a version that is known to be bad, and only warns where a distribution may have mended it", () => {
    expect(finding({ components: [{ name: "docker", version: "20.10.8" }] }, "docker")).toMatchObject({
      status: "fail",
      detail: expect.stringContaining("CVE-2021-41091"),
      remedy: "Install docker 23.0.15, 25.0.6, 26.1.5, 27.1.1 or newer.",
    });
    expect(finding({ components: [{ name: "docker", version: "20.10.8+dfsg1" }] }, "docker")).toMatchObject({ status: "warn" });
  });

  it("notes a flaw that no sandbox meets, with what keeps it away, and finds the version good", () => {
    const found = judgeHost({ ...GOOD, components: [{ name: "runc", version: "1.1.13" }] }).filter(({ name }) => name === "runc");
    expect(found).toEqual([
      { name: "runc", status: "ok", detail: "1.1.13", remedy: "" },
      { name: "runc", status: "note", detail: expect.stringMatching(/CVE-2024-45310 .* cannot be used here: .*--mount/), remedy: "" },
      { name: "runc", status: "note", detail: expect.stringMatching(/CVE-2025-31133 .* cannot be used here: .*\/dev/), remedy: "" },
    ]);
  });
});

describe("the known flaws", () => {
  const ids = (component: string, version: string): readonly string[] => knownFlaws(component, version).map(({ id }) => id);

  it.each([
    ["runc", "1.1.11", ["CVE-2024-21626", "CVE-2024-45310", "CVE-2025-31133"]],
    ["runc", "1.1.12", ["CVE-2024-45310", "CVE-2025-31133"]],
    ["runc", "1.2.7", ["CVE-2025-31133"]],
    ["runc", "1.2.8", []],
    ["runc", "1.3.2", ["CVE-2025-31133"]],
    ["runc", "1.4.0", []],
    ["docker", "20.10.24", ["CVE-2024-41110"]],
    ["docker", "27.1.1", []],
    ["kernel", "6.1.75", ["CVE-2024-1086"]],
    ["kernel", "6.18.44-generic", []],
    ["kernel", "who knows", []],
    ["nothing", "1.0.0", []],
  ])("of %s %s", (component, version, expected) => {
    expect(ids(component, version)).toEqual(expected);
  });

  it("may be mended in the versions of distributions", () => {
    expect(["1.1.5+ds1-1+deb12u1", "1.6.20~ds1", "5.14.0-427.el9"].map(mayBePatched)).toEqual([true, true, true]);
    expect(["1.1.5", "28.5.2"].map(mayBePatched)).toEqual([false, false]);
  });
});
