import { appendFileSync } from "node:fs";
import { expect } from "vitest";
import { fc } from "./property.ts";

/** What `npm run fuzz` sets: how many times as often, until when (milliseconds since 1970), and the file that counts what was tried. */
const { FUZZ_FACTOR, FUZZ_UNTIL, FUZZ_COUNTS } = process.env;
const LEAST_MS = 1_000;

if (FUZZ_COUNTS !== undefined) {
  fc.installGlobalPlugin((index, store) => fc.interruptAfterTimeLimit(fuzzMs(0))(index, store));
  fc.installGlobalPlugin(() => ({ onAllRunsComplete: ({ numRuns }) => countInputs(numRuns) }));
}

/** How often a property is tried: `npm run fuzz` raises it, counts what was really tried, and ends each property when its time is over. */
export function fuzzRuns(usual: number): number {
  return usual * Number(FUZZ_FACTOR ?? "1");
}

/** Milliseconds that trying may take: what is left of them under `npm run fuzz`. */
export function fuzzMs(usual: number): number {
  return FUZZ_UNTIL === undefined ? usual : Math.max(LEAST_MS, Number(FUZZ_UNTIL) - Date.now());
}

/** Counts inputs that a target of its own was given. */
export function countInputs(inputs: number): void {
  const { testPath } = expect.getState();
  if (FUZZ_COUNTS !== undefined) appendFileSync(FUZZ_COUNTS, `${JSON.stringify({ file: testPath, inputs })}\n`);
}
