import { readFile, writeFile } from "node:fs/promises";
import type { BatchTask } from "../../src/batch/batch-task.ts";
import type { Summary } from "../../src/batch/summary.ts";
import { type CliOptions, type CliResult, type RunningCli, runCli, startCli } from "./cli.ts";
import { TEST_IMAGES } from "./images.ts";
import type { TempDirectory } from "./temp-directory.ts";

/** `list` is what stands in the place of the list's file. */
type BatchCliOptions = CliOptions & { readonly list?: string };

/** A batch below a directory of the test's own: its list in `tasks.jsonl`, its results in `out`. */
export type BatchLab = {
  readonly out: string;
  /** Writes the list anew. */
  list(tasks: readonly BatchTask[]): Promise<void>;
  run(flags?: readonly string[], options?: BatchCliOptions): Promise<CliResult>;
  start(flags?: readonly string[], options?: BatchCliOptions): RunningCli;
  summary(): Promise<Summary>;
  /** What a task left in one of its files. */
  file(id: string, name: string): Promise<string>;
};

/** Runs batches in busybox. The command line never sees the tests' own place in GitHub Actions. */
export function batchLab(directory: TempDirectory): BatchLab {
  const path = directory.join("tasks.jsonl");
  const out = directory.join("out");
  const args = (list = path): readonly string[] => ["batch", list, "--out", out, "--image", TEST_IMAGES.busybox];
  const env = { GITHUB_ACTIONS: undefined, GITHUB_STEP_SUMMARY: undefined };
  const here = ({ env: own, list: _list, ...rest }: BatchCliOptions = {}): CliOptions => ({ ...rest, env: { ...env, ...own } });
  return {
    out,
    list: (tasks) => writeFile(path, tasks.map((task) => `${JSON.stringify(task)}\n`).join("")),
    run: (flags = [], options) => runCli([...args(options?.list), ...flags], here(options)),
    start: (flags = [], options) => startCli([...args(options?.list), ...flags], here(options)),
    summary: async () => JSON.parse(await readFile(`${out}/summary.json`, "utf8")) as Summary,
    file: (id, name) => readFile(`${out}/${id}/${name}`, "utf8"),
  };
}
