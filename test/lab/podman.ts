import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { once } from "node:events";
import { watch, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { text } from "node:stream/consumers";
import { type TempDirectory, tempDirectory } from "./temp-directory.ts";

/** A Podman service of the test's own: its storage, its socket, its end. */
export type PodmanLab = AsyncDisposable & {
  /** The engine's address. */
  readonly host: string;
  /** Runs `podman` against the same storage and gives what it prints. */
  podman(args: readonly string[], input?: Buffer): Promise<string>;
};

/**
 * The machines of the tests may have cgroup v1 with an empty v2 mount beside it, which crun takes for a layout that it does not know: the service
 * starts in a mount namespace without it. They may also lack CAP_SYS_RESOURCE, so that the usual limits cannot be raised to Podman's defaults.
 */
const CONFIGURATION = `[containers]
default_ulimits = ["nofile=1024:4096", "nproc=1024:1024"]
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
`;
const START = 'umount /sys/fs/cgroup/unified 2>/dev/null; exec podman "$@"';

export async function startPodman(): Promise<PodmanLab> {
  const directory = await tempDirectory();
  await writeFile(directory.join("containers.conf"), CONFIGURATION);
  const socket = directory.join("podman.sock");
  const appeared = socketAppears(directory, "podman.sock");
  const service = podmanProcess(directory, ["system", "service", "--time", "0", `unix://${socket}`]);
  const said = text(service.stderr);
  const died = once(service, "exit").then(async () => {
    throw new Error(`podman system service ended: ${await said}`);
  });
  died.catch(() => undefined);
  await Promise.race([appeared, died]);
  await Promise.race([accepts(socket), died]);
  return {
    host: `unix://${socket}`,
    podman: (args, input) => runPodman(directory, { args, input }),
    async [Symbol.asyncDispose]() {
      const ended = service.exitCode === null ? once(service, "exit") : undefined;
      service.kill("SIGTERM");
      await ended;
      await directory[Symbol.asyncDispose]();
    },
  };
}

function podmanProcess(directory: TempDirectory, args: readonly string[]): ChildProcessWithoutNullStreams {
  const storage = ["--root", directory.join("root"), "--runroot", directory.join("runroot"), "--runtime", "crun", "--log-level", "error"];
  const env = { ...process.env, CONTAINERS_CONF: directory.join("containers.conf") };
  return spawn("unshare", ["--mount", "sh", "-c", START, "sh", ...storage, ...args], { env, stdio: ["pipe", "pipe", "pipe"] });
}

async function runPodman(
  directory: TempDirectory,
  { args, input }: { readonly args: readonly string[]; readonly input: Buffer | undefined },
): Promise<string> {
  const child = podmanProcess(directory, args);
  child.stdin.end(input);
  const [out, said, [status]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, "exit")]);
  if (status !== 0) throw new Error(`podman ${args.join(" ")}: ${said}`);
  return out;
}

async function socketAppears(directory: TempDirectory, name: string): Promise<void> {
  for await (const event of watch(directory.path)) if (event.filename === name) return;
}

/** The socket's name appears a moment before anything listens there. */
async function accepts(socket: string): Promise<void> {
  while (true) {
    const probe = connect(socket);
    const outcome = await Promise.race([once(probe, "connect").then(() => "connected"), once(probe, "close").then(() => "refused")]).catch(
      () => "refused",
    );
    probe.destroy();
    if (outcome === "connected") return;
  }
}
