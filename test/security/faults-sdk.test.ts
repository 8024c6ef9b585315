import { readdir } from "node:fs/promises";
import { describe, expect, it } from "vitest";
import { startProgram } from "../lab/cli.ts";
import { TEST_IMAGES } from "../lab/images.ts";
import { tempDirectory } from "../lab/temp-directory.ts";
import { childrenOf, containersOfOwner, isAlive, leftAfter, type Process } from "../lab/traces.ts";

const TIMES = 5;
/** Nothing of ours is left so long after the death of the process, in milliseconds. */
const BOUND = 2_000;
/** The watchdog stays a little longer than that, to see that nothing appears late. */
const WATCHDOG_BOUND = 10_000;
/** Three that are open, two tasks of the batch, and one that waits for the next. */
const CONTAINERS = 6;

/** Holds three sandboxes with a command in each, and runs a batch of which two tasks never end. */
const PROGRAM = `
import { createSandbox, openEngine, runBatch } from "belljar";
const image = process.env.IMAGE;
const engine = await openEngine();
const boxes = await Promise.all([1, 2, 3].map(() => createSandbox({ image, engine })));
const begun = boxes.map((box) => new Promise((resolve) => void box.exec(["sh", "-c", "echo begun; sleep 1000"], { onStdout: resolve })));
await Promise.all(begun);
const tasks = Array.from({ length: 100 }, (_, at) => ({ id: "task-" + at, command: at < 2 ? ["true"] : ["sleep", "1000"] }));
let done = 0;
await runBatch({ image, engine, tasks, jobs: 2, out: process.env.OUT, onEvent: ({ type }) => {
  if (type === "finished") done += 1;
  if (type === "started" && done === 2) console.log("under way");
} });
`;

async function living(children: readonly Process[]): Promise<readonly string[]> {
  const alive = await Promise.all(children.map(async (child) => ((await isAlive(child)) ? [`child ${child.pid}`] : [])));
  return alive.flat();
}

describe("a program that holds three sandboxes and runs a batch", () => {
  it("leaves nothing when it is killed but the results that were whole", { timeout: 120_000 }, async () => {
    for (let time = 0; time < TIMES; time += 1) {
      await using place = await tempDirectory();
      const program = startProgram(PROGRAM, { env: { IMAGE: TEST_IMAGES.busybox, OUT: place.join("out") } });
      await program.waitFor("under way");
      const isFull = async () => ((await containersOfOwner(program.pid)).length >= CONTAINERS ? [] : ["not yet"]);
      expect(await leftAfter(WATCHDOG_BOUND, isFull)).toEqual([]);
      program.child.kill("SIGSTOP");
      const children = await childrenOf(program.pid);
      expect(children.length).toBeGreaterThan(0);
      program.child.kill("SIGKILL");
      await program.done;
      expect(await leftAfter(BOUND, () => containersOfOwner(program.pid))).toEqual([]);
      const whole = ["journal.jsonl", "task-0", "task-1"];
      expect(await leftAfter(BOUND, async () => (await readdir(place.join("out"))).filter((name) => !whole.includes(name)))).toEqual([]);
      expect((await readdir(place.path)).sort()).toEqual(["out"]);
      expect(await leftAfter(WATCHDOG_BOUND, () => living(children))).toEqual([]);
    }
  });
});
