/** `npm run fuzz [-- FACTOR]`: the property tests of everything that reads hostile bytes, with FACTOR (30) times as many inputs: more than a million. */
import { spawnSync } from "node:child_process";
import { ROOT } from "./prepare.mjs";

const FOREVER_MS = String(3 * 60 * 60 * 1000);
const factor = process.argv[2] ?? "30";
if (!/^[1-9]\d{0,5}$/.test(factor)) {
  console.error(`The factor is ${JSON.stringify(factor)}, which is not a whole number.\nWrite npm run fuzz -- 30`);
  process.exit(64);
}
const args = [
  "vitest",
  "run",
  "--project",
  "unit",
  "test/egress",
  "test/policy/file",
  "test/identity/trust-bundle.test.ts",
  "--testTimeout",
  FOREVER_MS,
];
const { status } = spawnSync("npx", args, { cwd: ROOT, stdio: "inherit", env: { ...process.env, FUZZ_FACTOR: factor } });
process.exitCode = status ?? 1;
