import { spawn } from "node:child_process";
import { once } from "node:events";
import { describe, expect, it } from "vitest";
import { createRunId } from "../../src/core/ids.ts";
import { containerName, currentOwner, judgeOwner, ownershipLabels, recognise } from "../../src/engine/ownership.ts";
import type { OwnedContainer } from "../../src/engine/port.ts";
import { isAbandoned } from "../../src/engine/reaper.ts";

const RUN = createRunId();
const LABELS = ownershipLabels(RUN, { owner: { pid: 42, start: "1000", boot: "b" }, keep: false });
const NOW = Date.UTC(2030, 0, 1);

describe("the labels of ownership", () => {
  it("are read back as they were written", () => {
    expect(recognise(containerName(RUN), { ...LABELS, other: "label" })).toEqual({
      run: RUN,
      owner: { pid: 42, start: "1000", boot: "b" },
      kept: false,
    });
  });

  it.each(Object.keys(LABELS))("are not ours without %s", (label) => {
    const { [label]: _left, ...others } = LABELS;
    expect(recognise(containerName(RUN), others)).toBeUndefined();
  });

  it.each([
    ["another name", `sandbox-${createRunId()}`, LABELS],
    ["a name that only begins like ours", `sandbox-${RUN}-2`, LABELS],
    ["a run that is no run id", "sandbox-x", { ...LABELS, "sandbox.run": "x" }],
    ["another version", containerName(RUN), { ...LABELS, "sandbox.version": "2" }],
    ["a pid that is no number", containerName(RUN), { ...LABELS, "sandbox.owner.pid": "-1" }],
    ["an empty start", containerName(RUN), { ...LABELS, "sandbox.owner.start": "" }],
    ["a keep that says nothing", containerName(RUN), { ...LABELS, "sandbox.keep": "maybe" }],
  ])("are not ours with %s", (_what, name, labels) => {
    expect(recognise(name, labels)).toBeUndefined();
  });
});

describe("an owner", () => {
  it("is alive while its process runs and dead after it, zombie or not", async () => {
    const child = spawn("sleep", ["60"]);
    await once(child, "spawn");
    const { boot } = currentOwner();
    const { readFile } = await import("node:fs/promises");
    const start = (await readFile(`/proc/${child.pid}/stat`, "utf8")).split(") ")[1]?.split(" ")[19] ?? "";
    const owner = { pid: child.pid ?? 0, start, boot };
    expect(judgeOwner(owner)).toBe("alive");
    expect(judgeOwner({ ...owner, start: `${start}0` })).toBe("dead");
    child.kill("SIGKILL");
    await once(child, "exit");
    expect(judgeOwner(owner)).toBe("dead");
  });

  it("is this process for itself", () => {
    expect(judgeOwner(currentOwner())).toBe("alive");
  });

  it("of another boot or machine cannot be judged", () => {
    expect(judgeOwner({ ...currentOwner(), boot: "another" })).toBe("elsewhere");
    expect(judgeOwner({ ...currentOwner(), boot: "unknown" })).toBe("elsewhere");
  });
});

describe("a container", () => {
  const alive = currentOwner();
  const dead = { ...alive, start: "1" };
  const elsewhere = { ...alive, boot: "another" };
  const minutes = (count: number): Date => new Date(NOW - count * 60_000);
  const container = (change: Partial<OwnedContainer>): OwnedContainer => ({
    ...{
      run: RUN,
      id: "1",
      name: containerName(RUN),
      image: "x",
      state: "running",
      created: minutes(60),
      owner: alive,
      kept: false,
      labels: {},
    },
    ...change,
  });

  it.each([
    ["running, owner alive", { owner: alive }, false],
    ["running, owner dead", { owner: dead }, true],
    ["paused, owner dead", { owner: dead, state: "paused" }, true],
    ["created a moment ago, owner dead", { owner: dead, state: "created", created: minutes(0) }, true],
    ["kept, owner dead", { owner: dead, kept: true, state: "exited" }, false],
    ["created 9 minutes ago, owner alive", { state: "created", created: minutes(9) }, false],
    ["created 11 minutes ago and never started, owner alive", { state: "created", created: minutes(11) }, true],
    ["running, owner elsewhere", { owner: elsewhere }, false],
    ["paused, owner elsewhere", { owner: elsewhere, state: "paused" }, false],
    ["exited 11 minutes ago, owner elsewhere", { owner: elsewhere, state: "exited", created: minutes(11) }, true],
    ["created 9 minutes ago, owner elsewhere", { owner: elsewhere, state: "created", created: minutes(9) }, false],
  ] as const)("that is %s: abandoned or not", (_what, change, abandoned) => {
    expect(isAbandoned(container(change), NOW)).toBe(abandoned);
  });
});
