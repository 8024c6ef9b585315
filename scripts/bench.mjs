/**
 * `npm run bench [-- NAME…] [--pairs N]`: runs the benchmarks in bench/, or those whose names contain a NAME, and says which targets are
 * met. Raw numbers go to bench/results/<time>.json, and to bench/results.json when all of them ran in full.
 */
import { execFileSync } from "node:child_process";
import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { cpus, loadavg, release, totalmem } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { comparePairs, measureOne, quantile } from "./bench-harness.mjs";
import { benchImage, writePeerProfile } from "./bench-peer.mjs";
import { openProduct } from "./bench-product.mjs";
import { ensureEngine } from "./engine.mjs";
import { findProgram, SetupError } from "./machine.mjs";
import { build, ensureCompiler, ensureDependencies, ROOT, requireNode } from "./prepare.mjs";

// Node.js would read the certificates named there at each start, on whichever side it is; docker has no such variable.
delete process.env.NODE_EXTRA_CA_CERTS;

const interrupted = new AbortController();
// Not at once: what is under way has containers that would stay.
process.once("SIGINT", () => interrupted.abort(new SetupError("Interrupted; nothing was saved.")));

try {
  await bench();
} catch (error) {
  console.error(error instanceof SetupError ? error.message : error);
  process.exitCode = 1;
}

async function bench() {
  const { names, pairs } = readArguments();
  const image = await setUp();
  const all = await loadBenchmarks();
  const chosen = names.length === 0 ? all : all.filter(({ name }) => names.some((part) => name.includes(part)));
  if (chosen.length === 0)
    throw new SetupError(`No benchmark is called ${names.join(" or ")}. There are: ${all.map(({ name }) => name).join(", ")}.`);
  const machine = { ...describeMachine(), image };
  const results = [];
  const product = await openProduct();
  try {
    for (const benchmark of chosen) results.push(await runBenchmark(benchmark, { pairs, image, product }));
  } finally {
    await product.close();
  }
  console.log(`\n${table(results)}`);
  save({ machine, benchmarks: results }, { complete: chosen.length === all.length && pairs === undefined });
}

function readArguments() {
  const { values, positionals } = parseArgs({ allowPositionals: true, options: { pairs: { type: "string" } } });
  if (values.pairs !== undefined && !/^[1-9]\d{0,4}$/.test(values.pairs))
    throw new SetupError(`--pairs is "${values.pairs}", which is not a whole number of at least 1.`);
  return { names: positionals, pairs: values.pairs === undefined ? undefined : Number(values.pairs) };
}

/** The code as it is now, an engine, and the image that both sides use. */
async function setUp() {
  requireNode();
  ensureDependencies();
  ensureCompiler();
  build();
  if (findProgram("docker") === undefined)
    throw new SetupError(
      "The peer is the docker command, which is not installed.\nOn Debian or Ubuntu run: sudo apt-get install -y docker.io",
    );
  const { host } = await ensureEngine({ log: console.error });
  process.env.DOCKER_HOST = host;
  process.chdir(ROOT);
  writePeerProfile();
  return benchImage();
}

/**
 * Each file of bench/ exports `benchmarks`: `{ name, what, unit, pairs, target, open }`. `open({ image, product })` resolves to
 * `{ a, b, close }`: what is measured, the peer, and how to clear up, both of which may be missing. `target` is
 * `{ of: "ratio" | "median" | "p99", atMost | atLeast }`.
 */
async function loadBenchmarks() {
  const files = readdirSync("bench").filter((name) => name.endsWith(".mjs"));
  const modules = await Promise.all(files.sort().map((name) => import(join(ROOT, "bench", name))));
  return modules.flatMap(({ benchmarks }) => benchmarks);
}

async function runBenchmark({ name, what, unit = "ms", pairs: own = 30, target, open }, { pairs: asked, image, product }) {
  const pairs = asked ?? own;
  const { signal } = interrupted;
  console.log(`\n${name} (${unit}, n = ${pairs})`);
  const { a, b, close } = await open({ image, product });
  try {
    const result = b === undefined ? await measureOne(a, { count: pairs, signal }) : await comparePairs({ a, b, pairs, signal });
    for (const side of [result.a, result.b]) if (side !== undefined) console.log(row(side));
    if (result.ratio !== undefined)
      console.log(
        `  ratio ${result.ratio.ofMedians.toFixed(3)} of the medians, ${result.ratio.medianOfPairs.toFixed(3)} the pairs' median`,
      );
    return { name, what, unit, ...judge(target, result), ...result };
  } finally {
    await close?.();
  }
}

function judge(target, { a, ratio }) {
  const value = { ratio: () => ratio.ofMedians, median: () => a.median, p99: () => quantile(a.raw, 0.99) }[target.of]();
  return { target, value, met: target.atMost === undefined ? value >= target.atLeast : value <= target.atMost };
}

function row({ name, median, p10, p90 }) {
  return `  ${name.padEnd(44)} median ${number(median)}   p10 ${number(p10)}   p90 ${number(p90)}`;
}

function table(results) {
  const lines = results.map(({ what, unit, a, b, value, target, met }) => [
    what,
    `${number(a.median).trim()} ${unit}`,
    b === undefined ? "" : `${number(b.median).trim()} ${unit}`,
    `${target.of} ${value.toFixed(value < 10 ? 3 : 0)}`,
    target.atMost === undefined ? `at least ${target.atLeast}` : `at most ${target.atMost}`,
    met ? "met" : "MISSED",
  ]);
  const rows = [["what", "median", "peer", "value", "target", ""], ...lines];
  const widths = rows[0].map((_, column) => Math.max(...rows.map((cells) => cells[column].length)));
  return rows
    .map((cells) =>
      cells
        .map((cell, column) => cell.padEnd(widths[column]))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}

function number(value) {
  return value.toFixed(value < 10 ? 2 : 1).padStart(9);
}

function save(results, { complete }) {
  const date = new Date().toISOString();
  const text = `${JSON.stringify({ date, ...results }, null, 1)}\n`;
  mkdirSync("bench/results", { recursive: true });
  const path = `bench/results/${date.replaceAll(":", "-")}.json`;
  writeFileSync(path, text);
  if (complete) writeFileSync("bench/results.json", text);
  console.log(`\n${path}${complete ? " and bench/results.json" : ""}`);
}

/** `load` is the machine's before the first measurement: much more than 0 says that others were at work. */
function describeMachine() {
  const version = execFileSync("docker", ["version", "--format", "{{.Client.Version}} {{.Server.Version}}"], { encoding: "utf8" });
  const [dockerCli, engine] = version.trim().split(" ");
  return {
    cpu: cpus()[0]?.model ?? "unknown",
    cores: cpus().length,
    load: loadavg()[0],
    memoryBytes: totalmem(),
    kernel: release(),
    node: process.versions.node,
    dockerCli,
    engine,
  };
}
