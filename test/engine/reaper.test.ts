import { spawn } from "node:child_process";
import { once } from "node:events";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { createRunId } from "../../src/core/ids.ts";
import { containerName, currentOwner, ownershipLabels } from "../../src/engine/ownership.ts";
import type { Engine, Owner } from "../../src/engine/port.ts";
import { pruneDeadOwners } from "../../src/engine/reaper.ts";
import { askEngine, dockerCli } from "../lab/engine-api.ts";
import { TEST_IMAGES } from "../lab/images.ts";
import { openStandInEngine } from "./stand-in.ts";

describe("pruning", () => {
  let engine: Engine & AsyncDisposable;
  beforeAll(async () => {
    engine = await openStandInEngine();
  });
  afterAll(() => engine[Symbol.asyncDispose]());

  async function deadOwner(): Promise<Owner> {
    const child = spawn("true");
    await once(child, "exit");
    return { ...currentOwner(), pid: child.pid ?? 0, start: "1" };
  }

  async function container(
    owner: Owner,
    {
      command = "create",
      name,
      labels = {},
    }: { command?: "create" | "run"; name?: string; labels?: Readonly<Record<string, string>> } = {},
  ): Promise<string> {
    const run = createRunId();
    const all = Object.entries({ ...ownershipLabels(run, { owner, keep: false }), ...labels }).flatMap(([key, value]) => [
      "--label",
      `${key}=${value}`,
    ]);
    const how = command === "run" ? ["run", "-d", "--network", "none"] : ["create"];
    const called = name ?? containerName(run);
    await dockerCli([...how, "--name", called, ...all, TEST_IMAGES.busybox, "sleep", "600"]);
    onTestFinished(async () => void (await askEngine({ method: "DELETE", path: `/containers/${called}?force=true` })));
    return run;
  }

  const exists = async (name: string): Promise<boolean> => (await askEngine({ path: `/containers/${name}/json` })).status === 200;

  it("removes what dead owners left, created, running and paused, and nothing else", async () => {
    const dead = await deadOwner();
    const created = await container(dead);
    const running = await container(dead, { command: "run" });
    const paused = await container(dead, { command: "run" });
    await dockerCli(["pause", containerName(paused)]);
    const alive = await container(currentOwner());
    const elsewhere = await container({ ...dead, boot: "another" }, { command: "run" });
    const renamed = `not-ours-${createRunId()}`;
    await container(dead, { name: renamed });
    const other = await container(dead, { labels: { "sandbox.version": "0" } });
    const kept = await container(dead, { labels: { "sandbox.keep": "true" } });

    const removed = await pruneDeadOwners(engine);

    expect(removed).toEqual(expect.arrayContaining([created, running, paused]));
    const gone = [created, running, paused].map(containerName);
    const left = [alive, elsewhere, other, kept].map(containerName).concat(renamed);
    expect(await Promise.all(gone.map(exists))).toEqual([false, false, false]);
    expect(await Promise.all(left.map(exists))).toEqual([true, true, true, true, true]);
  });
});
