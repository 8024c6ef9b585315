import type { RunResult } from "../../src/run/result.ts";
import { type CliOptions, type CliResult, runCli } from "./cli.ts";
import { TEST_IMAGES } from "./images.ts";

export type JsonRun = CliResult & { readonly result: RunResult };

/** `sandbox run --json` in busybox unless the flags name another image, with its result parsed. */
export async function runJson(args: readonly string[], options: CliOptions = {}): Promise<JsonRun> {
  const image = args.includes("--image") ? [] : ["--image", TEST_IMAGES.busybox];
  const done = await runCli(["run", "--json", ...image, ...args], options);
  return { ...done, result: JSON.parse(done.stdout) as RunResult };
}
