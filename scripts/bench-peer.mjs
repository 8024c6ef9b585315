/** The other side of every comparison: the docker command, told to hold a container down as `sandbox run` does by itself. */
import { readFileSync, writeFileSync } from "node:fs";
import { runProcess } from "./bench-harness.mjs";
import { SetupError } from "./machine.mjs";

/** The product's default image, else the small one that the tests make. */
const IMAGES = ["sandbox/base", "sandbox-test/busybox"];

const SECCOMP = "dist/bench-seccomp.json";

/** Writes the profile for the peer as the product sends it, without its comments: an engine takes longer with them. */
export function writePeerProfile() {
  const profile = JSON.parse(readFileSync("images/seccomp.json", "utf8"), (key, value) => (key === "comment" ? undefined : value));
  writeFileSync(SECCOMP, JSON.stringify(profile));
}

/** The flags of the peer's `docker run` and `docker create` for the posture of a sandbox with the default quotas. */
export const POSTURE = [
  ...["--network", "none", "--read-only", "--cap-drop", "ALL", "--hostname", "sandbox"],
  ...["--security-opt", "no-new-privileges", "--security-opt", `seccomp=${SECCOMP}`],
  ...["--user", "65532:65532", "--memory", "512m", "--memory-swap", "512m", "--cpus", "1", "--pids-limit", "256"],
  ...["--ipc", "none", "--cgroupns", "private", "--log-driver", "none", "--oom-score-adj", "500", "--workdir", "/workspace"],
  ...["--sysctl", "net.ipv4.ip_unprivileged_port_start=0", "--entrypoint", ""],
  ...["--tmpfs", "/workspace:rw,exec,nosuid,nodev,size=256m,nr_inodes=65536,mode=0755,uid=65532,gid=65532"],
  ...["--tmpfs", "/tmp:rw,exec,nosuid,nodev,size=64m,nr_inodes=16384,mode=1777,uid=65532,gid=65532"],
  ...["--tmpfs", "/dev/shm:rw,noexec,nosuid,nodev,size=16m,nr_inodes=4096,mode=1777,uid=65532,gid=65532"],
  ...["--ulimit", "nofile=4096:4096", "--ulimit", "core=0:0", "--ulimit", "fsize=268435456:268435456"],
];

/** Resolves to what `docker` with these arguments prints. */
export async function docker(...args) {
  return (await runProcess("docker", args, { capture: true })).trim();
}

export async function removeContainer(id) {
  await docker("rm", "--force", id);
}

/**
 * Compares a way to run `true` in a live sandbox, which `open` resolves to as `{ name, run, close }`, with `docker exec` in a live container.
 * The container outlives neither the benchmark nor, should this process be killed, the hour.
 */
export async function againstDockerExec(image, open) {
  const peer = await docker("run", "--rm", "--detach", ...POSTURE, image, "sleep", "3600");
  try {
    const { name, run, close } = await open();
    return {
      a: { name, run },
      b: { name: "docker exec of true in a live container", run: async () => void (await docker("exec", peer, "true")) },
      close: async () => {
        await close();
        await removeContainer(peer);
      },
    };
  } catch (error) {
    await removeContainer(peer);
    throw error;
  }
}

/** The image that both sides use. Throws `SetupError` when there is none. */
export async function benchImage() {
  for (const image of IMAGES) {
    const there = await docker("image", "inspect", "--format", "{{.Id}}", image).catch(() => undefined);
    if (there !== undefined) return image;
  }
  throw new SetupError("There is no image to measure with.\nRun: node bin/sandbox.js images build");
}
