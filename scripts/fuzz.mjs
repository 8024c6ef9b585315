/**
 * `npm run fuzz [-- FACTOR]`: the property tests of everything that reads hostile bytes, and the guest's fuzz targets, with FACTOR (30) times as many
 * inputs. Ends within 20 minutes, and prints how many inputs each file was given.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { readText } from "./machine.mjs";
import { ensureCompiler, ROOT } from "./prepare.mjs";

/** Leaves what began before it two minutes to end. */
const TRYING_MS = 18 * 60 * 1000;
const WHOLE_MS = 20 * 60 * 1000;

const factor = process.argv[2] ?? "30";
if (!/^[1-9]\d{0,5}$/.test(factor)) {
  console.error(`The factor is ${JSON.stringify(factor)}, which is not a whole number.\nWrite npm run fuzz -- 30`);
  process.exit(64);
}
ensureCompiler();
const place = mkdtempSync(join(tmpdir(), "belljar-fuzz-"));
const counts = join(place, "counts");
const files = ["test/egress", "test/policy/file", "test/identity/trust-bundle.test.ts", "test/guest-c/guest.test.ts"];
const { status } = spawnSync("npx", ["vitest", "run", "--project", "unit", ...files, "--testTimeout", String(WHOLE_MS)], {
  cwd: ROOT,
  stdio: "inherit",
  timeout: WHOLE_MS,
  env: { ...process.env, FUZZ_FACTOR: factor, FUZZ_UNTIL: String(Date.now() + TRYING_MS), FUZZ_COUNTS: counts },
});
report(readText(counts));
rmSync(place, { recursive: true });
process.exitCode = status ?? 1;

/** Prints the inputs of each file and all together. */
function report(text) {
  const sums = new Map();
  for (const line of text.split("\n").filter((one) => one !== "")) {
    const { file, inputs } = JSON.parse(line);
    sums.set(file, (sums.get(file) ?? 0) + inputs);
  }
  const print = (what, inputs) => console.log(`${inputs.toLocaleString("en").padStart(11)}  ${what}`);
  for (const [file, inputs] of [...sums].sort()) print(relative(ROOT, file), inputs);
  print(
    "inputs in all",
    [...sums.values()].reduce((sum, inputs) => sum + inputs, 0),
  );
}
