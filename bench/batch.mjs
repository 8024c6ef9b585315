import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runProcess } from "../scripts/bench-harness.mjs";
import { POSTURE } from "../scripts/bench-peer.mjs";

const TASKS = 200;
const AT_ONCE = "4";
const PAIRS = 5;
/** The unit of /proc/stat, on every machine that Linux supports: USER_HZ (proc(5)). */
const TICKS_PER_SECOND = 100;

/** Both sides, each measured by `measure`, which runs what it is given and resolves to a number or to nothing. */
async function openSides({ image }, measure) {
  const directory = await mkdtemp(join(tmpdir(), "belljar-bench-"));
  const list = join(directory, "tasks.jsonl");
  const ids = Array.from({ length: TASKS }, (_, index) => `t${index}`);
  await writeFile(list, ids.map((id) => `${JSON.stringify({ id, command: ["true"] })}\n`).join(""));
  let round = 0;
  const sandbox = () => {
    round += 1;
    return runProcess("bin/sandbox.js", [
      "batch",
      list,
      "--quiet",
      "-j",
      AT_ONCE,
      "--image",
      image,
      "--out",
      join(directory, `out-${round}`),
    ]);
  };
  const script = 'count=$1; jobs=$2; shift 2; seq "$count" | xargs -P "$jobs" -I{} "$@"';
  const docker = () => runProcess("sh", ["-c", script, "sh", String(TASKS), AT_ONCE, "docker", "run", "--rm", ...POSTURE, image, "true"]);
  return {
    a: { name: `sandbox batch, ${TASKS} × true, -j ${AT_ONCE}`, run: () => measure(sandbox) },
    b: { name: `xargs -P ${AT_ONCE} docker run, same posture`, run: () => measure(docker) },
    close: () => rm(directory, { recursive: true, force: true }),
  };
}

/**
 * CPU seconds of the whole machine while `act` runs, from /proc/stat: the engine, containerd, shims, runc, the command line and the kernel's own work for
 * them, which no list of processes would have in full. It means nothing while others are at work.
 */
async function cpuSeconds(act) {
  const before = await busyTicks();
  await act();
  return ((await busyTicks()) - before) / TICKS_PER_SECOND;
}

/** user, nice, system, irq and softirq of the line for all CPUs; idle, iowait and what other machines took are no work. */
async function busyTicks() {
  const [line] = (await readFile("/proc/stat", "utf8")).split("\n");
  const [user, nice, system, , , irq, softirq] = line.trim().split(/\s+/).slice(1).map(Number);
  return user + nice + system + irq + softirq;
}

export const benchmarks = [
  {
    name: "batch-true",
    what: `batch of ${TASKS} × true, -j ${AT_ONCE}`,
    pairs: PAIRS,
    target: { of: "ratio", atMost: 0.55 },
    open: (given) => openSides(given, async (act) => void (await act())),
  },
  {
    name: "batch-cpu",
    what: `CPU of a batch of ${TASKS} × true, all processes`,
    unit: "s",
    pairs: PAIRS,
    target: { of: "ratio", atMost: 0.6 },
    open: (given) => openSides(given, cpuSeconds),
  },
];
