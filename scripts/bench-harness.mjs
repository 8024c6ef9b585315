/** Measures in interleaved pairs, so that whatever else the machine does falls on both sides alike. */
import { spawn } from "node:child_process";

const WARM_UP = 3;
const BULK_WARM_UP = 1;
const FEW = 10;

/**
 * Runs `a` and `b` in turns, the order swapped each time. Each is `{ name, run }`; `run` resolves to a number, or to nothing and is
 * timed in milliseconds. Gives raw numbers, quantiles, and `a` against `b` as ratio of the medians and as median of the pairs' ratios.
 */
export async function comparePairs({ a, b, pairs, signal }) {
  const raw = { a: [], b: [] };
  for (let round = -warmUp(pairs); round < pairs; round += 1) {
    const order = round % 2 === 0 ? ["a", "b"] : ["b", "a"];
    for (const side of order) {
      signal.throwIfAborted();
      const value = await measured((side === "a" ? a : b).run);
      if (round >= 0) raw[side].push(value);
    }
  }
  const [first, second] = [summarise(a.name, raw.a), summarise(b.name, raw.b)];
  const ratios = raw.a.map((value, index) => value / raw.b[index]);
  return { a: first, b: second, ratio: { ofMedians: first.median / second.median, medianOfPairs: quantile(ratios, 0.5) } };
}

/** Runs one thing `count` times. */
export async function measureOne({ name, run }, { count, signal }) {
  const raw = [];
  for (let round = -BULK_WARM_UP; round < count; round += 1) {
    signal.throwIfAborted();
    const value = await measured(run);
    if (round >= 0) raw.push(value);
  }
  return { a: summarise(name, raw) };
}

/** Runs a process to its end and resolves to what it wrote to standard output. Rejects for any status but 0. */
export function runProcess(command, args, { capture = false } = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: ["ignore", capture ? "pipe" : "ignore", "pipe"] });
    let stdout = "";
    let stderr = "";
    child.stdout?.setEncoding("utf8").on("data", (text) => (stdout += text));
    child.stderr.setEncoding("utf8").on("data", (text) => (stderr += text));
    child.once("error", reject);
    child.once("close", (status) => {
      if (status === 0) resolve(stdout);
      else reject(new Error(`${command} ${args.join(" ")} ended with status ${status}: ${stderr.trim()}`));
    });
  });
}

/** Quantile by linear interpolation. */
export function quantile(values, share) {
  const sorted = [...values].sort((one, other) => one - other);
  const at = (sorted.length - 1) * share;
  const low = Math.floor(at);
  const high = Math.ceil(at);
  return sorted[low] + (sorted[high] - sorted[low]) * (at - low);
}

function warmUp(pairs) {
  return pairs < FEW ? BULK_WARM_UP : WARM_UP;
}

async function measured(run) {
  const started = performance.now();
  const value = await run();
  return typeof value === "number" ? value : performance.now() - started;
}

function summarise(name, raw) {
  return { name, n: raw.length, median: quantile(raw, 0.5), p10: quantile(raw, 0.1), p90: quantile(raw, 0.9), raw };
}
