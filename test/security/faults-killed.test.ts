import { spawn } from "node:child_process";
import { once } from "node:events";
import { cp, readdir, truncate, watch, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createRunId } from "../../src/core/ids.ts";
import { type RunningCli, runCli, startCli } from "../lab/cli.ts";
import { dockerCli } from "../lab/engine-api.ts";
import { type FakeEngine, type Held, openFakeEngine } from "../lab/fake-engine.ts";
import { TEST_IMAGES } from "../lab/images.ts";
import { runJson } from "../lab/run-json.ts";
import { type TempDirectory, tempDirectory } from "../lab/temp-directory.ts";
import {
  childrenOf,
  containersOfOwner,
  isAlive,
  leftAfter,
  openRunPlace,
  otherVolumes,
  type Process,
  processesWith,
  removeGuestVolumes,
  stateOf,
  strayFiles,
} from "../lab/traces.ts";

const TIMES = 5;
/** Nothing of ours is left so long after the death of the process, in milliseconds. */
const BOUND = 2_000;
/** The watchdog stays a little longer than that, to see that nothing appears late. */
const WATCHDOG_BOUND = 10_000;
const MEBIBYTE = 1024 * 1024;

const CREATE = /^POST \/containers\/create$/;
const ATTACH = /^POST \/containers\/\w+\/attach$/;
const START = /^POST \/containers\/\w+\/start$/;
const FILL = /^PUT \/containers\/[\w-]+\/archive$/;

/** A moment of a run: what brings it about, and how it is recognised. `writing` is when the first file of the results appears. */
type Moment = { readonly held: (engine: FakeEngine) => Held } | { readonly event: string } | { readonly writing: true };

const MOMENTS: Readonly<Record<string, Moment>> = {
  "asks what the engine is": { held: (engine) => engine.holdRequest(/^GET \/version$/) },
  decides: { event: "run.started" },
  "asks for the container, which the engine makes later": { held: (engine) => engine.holdRequest(CREATE) },
  "asks for the container, which the engine has made": { held: (engine) => engine.holdAnswer(CREATE) },
  "has created": { event: "sandbox.created" },
  attaches: { held: (engine) => engine.holdRequest(ATTACH) },
  "asks for the start, which the engine does later": { held: (engine) => engine.holdRequest(START) },
  "asks for the start, which the engine has done": { held: (engine) => engine.holdAnswer(START) },
  "copies in": { event: "sandbox.started" },
  executes: { event: "exec.started" },
  quiesces: { event: "exec.exited" },
  "writes what it collects": { writing: true },
  destroys: { held: holdRemoval },
  "has destroyed": { event: "sandbox.destroyed" },
  seals: { event: "run.sealed" },
};

/** The engine keeps to itself that the container is gone, so that it is asked to remove it. */
function holdRemoval(engine: FakeEngine): Held {
  engine.break(/^POST \/containers\/\w+\/wait$/, "hangs");
  return engine.holdRequest(/^DELETE /);
}

/** The guest never arrives: its volume stays as the killed process left it. */
function holdFilling(engine: FakeEngine): Held {
  engine.break(FILL, "hangs");
  return engine.holdRequest(FILL);
}

let workspace: TempDirectory;
let volumes: readonly string[];
const decoys = { bare: `sandbox-${createRunId()}`, named: "sandbox-decoy", running: "sandbox-decoy-running" };

beforeAll(async () => {
  workspace = await tempDirectory();
  for (const name of ["a", "b", "c"]) {
    await writeFile(workspace.join(name), "");
    await truncate(workspace.join(name), 8 * MEBIBYTE);
  }
  volumes = await otherVolumes();
  const labels = ["--label", "sandbox.runner=1", "--label", "sandbox.run=foo", "--label", "sandbox.version=1"];
  await dockerCli(["create", "--name", decoys.bare, TEST_IMAGES.busybox, "true"]);
  await dockerCli(["create", "--name", decoys.named, ...labels, TEST_IMAGES.busybox, "true"]);
  await dockerCli(["run", "--detach", "--name", decoys.running, ...labels, TEST_IMAGES.busybox, "sleep", "1000"]);
});
afterAll(async () => {
  await dockerCli(["rm", "--force", ...Object.values(decoys)]);
  await workspace[Symbol.asyncDispose]();
});

/** What is still there of a process that was killed: its containers and what runs in them, and files that nobody asked for. */
async function tracesOf(pid: number, place: TempDirectory): Promise<readonly string[]> {
  const [containers, running, files] = await Promise.all([containersOfOwner(pid), processesWith(place.path), strayFiles(place)]);
  return [
    ...containers.map((id) => `container ${id}`),
    ...running.map((process) => `process ${process.pid}`),
    ...files.map((file) => `file ${file}`),
  ];
}

async function living(children: readonly Process[]): Promise<readonly string[]> {
  const alive = await Promise.all(children.map(async (child) => ((await isAlive(child)) ? [`child ${child.pid}`] : [])));
  return alive.flat();
}

/** Kills a run at a moment, as nothing can prepare for it, and answers what is left of it after 2 s. */
async function killAt(moment: Moment): Promise<readonly string[]> {
  await using engine = await openFakeEngine();
  await using place = await openRunPlace();
  const hold = "held" in moment ? moment.held(engine) : undefined;
  const flags = ["--image", TEST_IMAGES.busybox, "--workspace", workspace.path, "--artifact", "*", "--out", place.join("results", "out")];
  const command = ["sh", "-c", "sleep 0.2", place.path];
  const cli = startCli(["run", "--events", ...flags, "--", ...command], { env: { DOCKER_HOST: engine.host, TMPDIR: place.join("tmp") } });
  cli.child.stdin.end();
  const reached = hold?.reached ?? cli.waitFor(`"type":"${"event" in moment ? moment.event : "exec.exited"}"`);
  await Promise.race([reached, endedTooEarly(cli)]);
  if ("writing" in moment) await firstFile(place.join("results"));
  const children = await killed(cli);
  hold?.letGo();
  const left = await leftAfter(BOUND, () => tracesOf(cli.pid, place));
  return [...left, ...(await leftAfter(WATCHDOG_BOUND, () => living(children)))];
}

/** Rejects when the process ends; what has happened by then has won the race. */
async function endedTooEarly(cli: RunningCli): Promise<never> {
  const { status, stdout, stderr } = await cli.done;
  throw new Error(`It ended with status ${String(status)} before the moment came: ${stderr}${stdout.slice(-2_000)}`);
}

async function firstFile(directory: string): Promise<void> {
  const changes = watch(directory);
  if ((await readdir(directory)).length > 0) return;
  for await (const _change of changes) return;
}

/** Stops the process first, so that its children can be counted. */
async function killed(cli: RunningCli) {
  cli.child.kill("SIGSTOP");
  const children = await childrenOf(cli.pid);
  cli.child.kill("SIGKILL");
  await cli.done;
  return children;
}

describe("a process that is killed while it", () => {
  it.each(Object.entries(MOMENTS))("%s leaves nothing", { timeout: 60_000 }, async (_when, moment) => {
    const left = await Promise.all(Array.from({ length: TIMES }, () => killAt(moment)));
    expect(left.flat()).toEqual([]);
  });
});

describe("processes that are killed while they", () => {
  it("fill the guest's volume leave nothing, and the next ones fill it", { timeout: 60_000 }, async () => {
    await removeGuestVolumes();
    const left = await Promise.all(Array.from({ length: TIMES }, () => killAt({ held: holdFilling })));
    expect(left.flat()).toEqual([]);
    const next = await Promise.all(Array.from({ length: TIMES }, () => runJson(["--", "echo", "well"])));
    expect(next.map(({ result }) => result.reason)).toEqual(Array(TIMES).fill("completed"));
  });
});

describe("after all these deaths", () => {
  it("there is no volume that was not there before", async () => {
    expect(await otherVolumes()).toEqual(volumes);
  });

  it("what only looks like ours is as it was", async () => {
    const states = await Promise.all([decoys.bare, decoys.named, decoys.running].map(stateOf));
    expect(states).toEqual(["created", "created", "running"]);
  });

  it("the next run works", async () => {
    expect(await runJson(["--", "echo", "well"])).toMatchObject({ status: 0, result: { reason: "completed", stdout: { text: "well\n" } } });
  });
});

describe("without its watchdog", () => {
  /** Kills a process between create and start, with nobody to clean up behind it; answers its id. */
  async function leaveContainer(): Promise<number> {
    await using copy = await copyWithout("watchdog.js");
    await using engine = await openFakeEngine();
    const hold = engine.holdAnswer(CREATE);
    const env = { ...process.env, DOCKER_HOST: engine.host };
    const args = [copy.join("bin", "sandbox.js"), "run", "--image", TEST_IMAGES.busybox, "--", "true"];
    const owner = spawn(process.execPath, args, { env, stdio: "ignore" });
    const ended = once(owner, "exit");
    await hold.reached;
    owner.kill("SIGKILL");
    await ended;
    hold.letGo();
    return owner.pid ?? 0;
  }

  it("a process that is killed between create and start leaves its container, which `sandbox prune` removes and nothing else", async () => {
    const alive = startCli(["run", "--events", "--image", TEST_IMAGES.busybox, "--", "sleep", "1000"]);
    await alive.waitFor("exec.started");
    const dead = await leaveContainer();
    expect(await leftAfter(BOUND, () => containersOfOwner(dead))).toHaveLength(1);
    expect(await runCli(["prune"])).toMatchObject({ stderr: "", status: 0, stdout: expect.stringMatching(/^[0-9a-z]{20}$/m) });
    expect(await containersOfOwner(dead)).toEqual([]);
    expect(await containersOfOwner(alive.pid)).toHaveLength(1);
    expect(await Promise.all(Object.values(decoys).map(stateOf))).toEqual(["created", "created", "running"]);
    alive.child.kill("SIGTERM");
    expect((await alive.done).status).toBe(130);
  });

  it("its container is removed by the next run as well", async () => {
    const dead = await leaveContainer();
    expect(await containersOfOwner(dead)).toHaveLength(1);
    expect((await runJson(["--", "sleep", "0.5"])).status).toBe(0);
    expect(await leftAfter(BOUND, () => containersOfOwner(dead))).toEqual([]);
  });
});

/** The built product, in which one file does nothing. */
async function copyWithout(name: string): Promise<TempDirectory> {
  const root = fileURLToPath(new URL("../..", import.meta.url));
  const copy = await tempDirectory();
  for (const part of ["bin", "dist", "images/seccomp.json", "package.json"])
    await cp(`${root}/${part}`, copy.join(part), { recursive: true });
  await writeFile(copy.join("dist", name), "");
  return copy;
}
