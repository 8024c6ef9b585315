import { runProcess } from "../scripts/bench-harness.mjs";
import { POSTURE } from "../scripts/bench-peer.mjs";

const BYTES = 500_000_000;
const HEAD = ["head", "-c", String(BYTES), "/dev/zero"];

/** Millions of bytes a second through a pipe whose reader counts and drops them; start and end of the process included. */
async function throughput(...command) {
  const from = performance.now();
  const counted = await runProcess("sh", ["-c", '"$@" | wc -c', "sh", ...command], { capture: true });
  const seconds = (performance.now() - from) / 1000;
  if (Number(counted) !== BYTES) throw new Error(`${command.join(" ")} wrote ${counted.trim()} bytes`);
  return BYTES / 1e6 / seconds;
}

export const benchmarks = [
  {
    name: "stdout-bulk",
    what: `standard output, ${BYTES / 1e6} MB`,
    unit: "MB/s",
    pairs: 30,
    target: { of: "ratio", atLeast: 0.9 },
    open: ({ image }) => ({
      a: {
        name: "sandbox run -- head -c",
        run: () => throughput("bin/sandbox.js", "run", "--image", image, "--max-output", "1g", "--", ...HEAD),
      },
      b: { name: "docker run, same posture, head -c", run: () => throughput("docker", "run", "--rm", ...POSTURE, image, ...HEAD) },
    }),
  },
];
