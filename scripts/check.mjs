/** `npm run check`: format, lint, types, floors and dead code. Runs all of them, shows what failed, and exits 1 if anything did. */
import { spawnSync } from "node:child_process";

const CHECKS = [
  ["format and lint", "biome", ["check", "--max-diagnostics=50", "."]],
  ["type-aware lint", "eslint", ["."]],
  ["types", "tsc", ["--pretty"]],
  ["floors", "depcruise", ["--config", ".dependency-cruiser.cjs", "src", "test"]],
  ["dead code", "knip", ["--no-config-hints"]],
];

const failed = CHECKS.filter(([name, command, args]) => !passes({ name, command, args }));
if (failed.length > 0)
  console.error(`\nFailed: ${failed.map(([name]) => name).join(", ")}. \`npm run format\` fixes what can be fixed by itself.`);
process.exitCode = failed.length > 0 ? 1 : 0;

function passes({ name, command, args }) {
  const started = performance.now();
  const result = spawnSync(`node_modules/.bin/${command}`, args, { encoding: "utf8", maxBuffer: 64 * 1024 * 1024 });
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  const ok = result.status === 0;
  console.log(`${ok ? "ok    " : "FAILED"} ${name} (${command}, ${seconds} s)`);
  if (!ok) process.stdout.write(`${result.stdout ?? ""}${result.stderr ?? ""}${result.error?.message ?? ""}\n`);
  return ok;
}
