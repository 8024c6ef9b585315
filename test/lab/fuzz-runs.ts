/** How often a property is tried: `npm run fuzz` raises it by `FUZZ_FACTOR`. */
export function fuzzRuns(usual: number): number {
  return usual * Number(process.env["FUZZ_FACTOR"] ?? "1");
}
