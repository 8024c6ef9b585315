import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { RunResult } from "../../src/run/result.ts";
import { type CliResult, runCli } from "../lab/cli.ts";
import { askEngine, dockerCli } from "../lab/engine-api.ts";
import { busyboxEntries, type Entry, packRootfs } from "../lab/rootfs.ts";

const PLATFORM = process.arch === "arm64" ? "linux-arm64" : "linux-x64";
const GUEST = fileURLToPath(new URL(`../../dist/guest/${PLATFORM}/guest`, import.meta.url));
const PROGRAM = { content: "#!/bin/busybox sh\necho another guest ran\n", mode: 0o755 };
const EVIL: Entry = { path: "evil/guest", ...PROGRAM };

/** Ways in which an image puts a program of its own where the guest will be. */
const IMAGES: Readonly<Record<string, readonly Entry[]>> = {
  "a file": [{ path: ".belljar/guest", ...PROGRAM }],
  "a link to a file": [EVIL, { path: ".belljar/guest", linkTo: "/evil/guest" }],
  "a link to a directory": [EVIL, { path: ".belljar", linkTo: "evil" }],
  "a link that goes through /proc": [EVIL, { path: ".belljar", linkTo: "/proc/self/root/evil" }],
  "a link that leaves its root by dots": [EVIL, { path: ".belljar", linkTo: "../../../../evil" }],
};
/** A way that ends in a place which the workspace covers: no guest is left there. */
const COVERED = "a link to the workspace";
/** A link that brings the workspace over the kernel's numbers, in the place of each version of control groups. */
const FORGER = "a workspace among the control groups";
const ALL: Readonly<Record<string, readonly Entry[]>> = {
  ...IMAGES,
  [COVERED]: [
    { path: "workspace/guest", ...PROGRAM },
    { path: ".belljar", linkTo: "workspace" },
  ],
};

beforeAll(async () => {
  const busybox = await busyboxEntries();
  const groups = existsSync("/sys/fs/cgroup/cgroup.controllers") ? "/sys/fs/cgroup" : "/sys/fs/cgroup/memory";
  await importImage(refOf(FORGER), [...busybox, { path: "workspace", linkTo: groups }]);
  for (const [name, entries] of Object.entries(ALL)) await importImage(refOf(name), [...busybox, ...entries]);
});
afterAll(async () => void (await dockerCli(["rmi", "--force", refOf(FORGER), ...Object.keys(ALL).map(refOf)])));

describe("an image that has a guest of its own", () => {
  it.each(Object.keys(ALL))("as %s gets it run by an engine that is told nothing else", async (name) => {
    const run = ["run", "--rm", "--network=none", "--user=65532", "--entrypoint=/.belljar/guest", refOf(name)];
    expect(await dockerCli(run)).toBe("another guest ran\n");
  });

  it.each(Object.keys(IMAGES))("as %s has ours run in its place", async (name) => {
    const published = createHash("sha256")
      .update(await readFile(GUEST))
      .digest("hex");
    const { status, stdout, stderr } = await run(name);
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    expect(stdout).toBe(`${published}  /.belljar/guest\n`);
  });

  it("as a link to the workspace is refused, and its guest does not run", async () => {
    const { status, stdout, stderr } = await run(COVERED);
    expect({ status, stdout }).toEqual({ status: 125, stdout: "" });
    expect(stderr).toContain("START_FAILED");
  });
});

describe("an image that brings the workspace over the kernel's numbers", () => {
  it("lets the command write them, but not be believed: it was not killed for memory", async () => {
    const forge =
      "cd /workspace && for f in memory.oom_control memory.events; do echo 'oom_kill 5' > $f; done && cat memory.events; kill -9 $$";
    const { status, stdout } = await runCli(["run", "--json", "--image", refOf(FORGER), "-w", "/", "--", "sh", "-c", forge]);
    const result = JSON.parse(stdout) as RunResult;
    expect({ status, text: result.stdout.text }).toEqual({ status: 137, text: "oom_kill 5\n" });
    expect({ reason: result.reason, hit: result.limits.memory.hit }).toEqual({ reason: "completed", hit: false });
  });
});

function run(name: string): Promise<CliResult> {
  return runCli(["run", "--image", refOf(name), "--", "/bin/busybox", "sha256sum", "/.belljar/guest"]);
}

function refOf(name: string): string {
  return `sandbox-test/guest-as-${name.toLowerCase().replaceAll(/[^a-z]+/g, "-")}`;
}

async function importImage(ref: string, entries: readonly Entry[]): Promise<void> {
  const query = new URLSearchParams({ fromSrc: "-", repo: ref, tag: "latest", changes: "ENV PATH=/bin" });
  const { status, body } = await askEngine({ method: "POST", path: `/images/create?${query.toString()}`, tar: await packRootfs(entries) });
  const said = typeof body === "string" ? body : JSON.stringify(body);
  if (status !== 200 || said.includes('"error"')) throw new Error(`The image ${ref} could not be made: ${said}`);
}
