import { runProcess } from "../scripts/bench-harness.mjs";

/** What the guest itself takes of a sandbox's memory, as the kernel counts it. */
async function residentKilobytes(image) {
  const args = ["run", "--image", image, "--", "grep", "VmRSS", "/proc/1/status"];
  const line = await runProcess("bin/sandbox.js", args, { capture: true });
  return Number(/(\d+) kB/.exec(line)?.[1]);
}

export const benchmarks = [
  {
    name: "guest-memory",
    what: "resident memory of the guest",
    unit: "kB",
    pairs: 5,
    target: { of: "median", atMost: 1024 },
    open: ({ image }) => ({ a: { name: "VmRSS of the guest", run: () => residentKilobytes(image) } }),
  },
];
