import { runProcess } from "../scripts/bench-harness.mjs";
import { POSTURE } from "../scripts/bench-peer.mjs";

const sandbox = async (...args) => void (await runProcess("bin/sandbox.js", args));

export const benchmarks = [
  {
    name: "run-true",
    what: "whole process",
    target: { of: "ratio", atMost: 1.1 },
    open: ({ image }) => ({
      a: { name: "sandbox run -- true", run: () => sandbox("run", "--image", image, "--", "true") },
      b: {
        name: "docker run, same posture, true",
        run: async () => void (await runProcess("docker", ["run", "--rm", ...POSTURE, image, "true"])),
      },
    }),
  },
  {
    name: "run-allow",
    what: "whole process with a rule that is not used",
    target: { of: "ratio", atMost: 1.05 },
    open: ({ image }) => ({
      a: {
        name: "sandbox run --allow example.com -- true",
        run: () => sandbox("run", "--allow", "example.com", "--image", image, "--", "true"),
      },
      b: { name: "sandbox run -- true", run: () => sandbox("run", "--image", image, "--", "true") },
    }),
  },
  {
    name: "version",
    what: "start of the command line",
    target: { of: "ratio", atMost: 1.15 },
    open: () => ({
      a: { name: "sandbox --version", run: () => sandbox("--version") },
      b: { name: "node -e 0", run: async () => void (await runProcess(process.execPath, ["-e", "0"])) },
    }),
  },
];
