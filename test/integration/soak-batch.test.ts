import { chmod, mkdir, readdir, readFile } from "node:fs/promises";
import { describe, expect, it } from "vitest";
import type { BatchTask } from "../../src/batch/batch-task.ts";
import type { BatchReason } from "../../src/batch/summary.ts";
import { batchLab } from "../lab/batch.ts";
import { askEngine } from "../lab/engine-api.ts";
import { largestMemory, MEASURED } from "../lab/measure.ts";
import { tempDirectory } from "../lab/temp-directory.ts";
import { leftAfter } from "../lab/traces.ts";

/** `SOAK_TASKS=1000 npx vitest run test/integration/soak-batch.test.ts` is the long one. */
const TASKS = Number(process.env["SOAK_TASKS"] ?? "64");
const TASK_MS = 1_000;
/** What a batch of any length may hold, in MiB. */
const MOST_MEMORY = 200;

type Kind = { readonly script: string; readonly rest?: Partial<BatchTask>; readonly reason: BatchReason; readonly code: number | null };

const KINDS: readonly Kind[] = [
  { script: "echo well", reason: "completed", code: 0 },
  { script: "exit 3", reason: "completed", code: 3 },
  { script: "kill -9 $$", reason: "completed", code: null },
  { script: "sleep 1000", rest: { timeout: "400ms" }, reason: "timeout", code: null },
  { script: "cat; cat /dev/zero", rest: { stdin: "x" }, reason: "output-limit", code: null },
  { script: "sleep 1000 & sleep 1000 &", reason: "completed", code: 0 },
  { script: "seq 100 > a.txt", rest: { artifacts: ["a.txt"] }, reason: "completed", code: 0 },
  { script: "wget -q -O- http://example.com:80/; exit 0", reason: "completed", code: 0 },
];

describe("a long batch, eight at once", () => {
  it("brings every task to its own end once, in bounded memory, and leaves nothing", { timeout: 60_000 + TASKS * TASK_MS }, async () => {
    await using directory = await tempDirectory();
    const shared = directory.join("shared");
    await mkdir(shared);
    await chmod(shared, 0o777);
    const batch = batchLab(directory);
    const kinds = Array.from({ length: TASKS }, (_, index) => KINDS[index % KINDS.length]).filter((kind) => kind !== undefined);
    const idOf = (index: number): string => `task-${index}`;
    await batch.list(
      kinds.map(({ script, rest }, index) => ({
        id: idOf(index),
        command: ["sh", "-c", `echo ${idOf(index)} >> /m/log; ${script}`],
        ...rest,
      })),
    );
    const label = `soak=${process.pid}`;
    const flags = ["-j", "8", "--max-output", "256k", "--mount", `${shared}:/m:rw`, "--label", label];
    const { status, stderr } = await batch.run(flags, { within: MEASURED });
    const summary = await batch.summary();
    expect(status).toBe(1);
    expect(summary.tasks.map(({ id, reason, exit }) => [id, reason, exit.code])).toEqual(
      kinds.map(({ reason, code }, index) => [idOf(index), reason, code]),
    );
    const log = (await readFile(`${shared}/log`, "utf8")).trimEnd().split("\n");
    expect(log.sort()).toEqual(kinds.map((_, index) => idOf(index)).sort());
    expect(await readdir(batch.out)).toHaveLength(TASKS + 2);
    const containers = async (): Promise<readonly string[]> => {
      const filters = encodeURIComponent(JSON.stringify({ label: [label] }));
      const { body } = await askEngine({ path: `/containers/json?all=true&filters=${filters}` });
      return Array.isArray(body) ? body.map((each: unknown) => JSON.stringify(each)) : ["no list"];
    };
    expect(await leftAfter(5_000, containers)).toEqual([]);
    expect(largestMemory(stderr)).toBeLessThan(MOST_MEMORY);
    if (process.env["SOAK_TASKS"] !== undefined) console.log(`${TASKS} tasks: at most ${largestMemory(stderr).toFixed(0)} MiB`);
  });
});
