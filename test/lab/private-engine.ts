import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { createReadStream } from "node:fs";
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { type IncomingMessage, request } from "node:http";
import { text } from "node:stream/consumers";
import { setTimeout as pause } from "node:timers/promises";
import { promisify } from "node:util";
import { busyboxEntries, packRootfs } from "./rootfs.ts";
import { tempDirectory } from "./temp-directory.ts";
import { leftAfter, type Process, processesWith } from "./traces.ts";

const run = promisify(execFile);
const READY_MS = 30_000;
const SHIM = "containerd-shim";

/** A Docker engine of the test's own, whose parts may be killed: its data, its socket, its containerd. */
export type PrivateEngine = AsyncDisposable & {
  readonly host: string;
  /** Ends the daemon with SIGKILL, as the kernel does when memory runs out; its containerd dies with it. */
  killDaemon(): Promise<void>;
  /** Starts the daemon again on the same data. */
  restart(): Promise<void>;
  killContainerd(): Promise<void>;
  /** Kills the shim of the one container that runs. */
  killShim(): Promise<void>;
  /** Names of all containers, running or not. */
  containers(): Promise<readonly string[]>;
};

/** Starts an engine and gives it the image `private/busybox`. */
export async function startPrivateEngine(): Promise<PrivateEngine> {
  const directory = await tempDirectory();
  const socket = directory.join("engine.sock");
  await writeFile(directory.join("daemon.json"), "{}\n");
  let daemon = await startDaemon();
  await importImage();

  async function startDaemon(): Promise<ChildProcess> {
    await mkdir(directory.join("data"), { recursive: true });
    // A containerd that is dead but not reaped yet counts as running to the daemon, which then waits for it.
    await rm(directory.join("run", "containerd", "containerd.pid"), { force: true });
    const places = ["--config-file", "daemon.json", "--data-root", "data", "--exec-root", "run", "--pidfile", "engine.pid"];
    const args = places.map((word) => (word.startsWith("--") ? word : directory.join(word)));
    const flags = ["--host", `unix://${socket}`, "--bridge=none", "--iptables=false", "--log-level=error"];
    const started = spawn("dockerd", [...args, ...flags], { stdio: ["ignore", "ignore", "pipe"] });
    const said = text(started.stderr);
    const deadline = performance.now() + READY_MS;
    while (!(await answers())) {
      if (started.exitCode !== null || performance.now() > deadline) throw new Error(`The private engine did not start: ${await said}`);
      await pause(50);
    }
    return started;
  }

  function ask(method: string, path: string): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      request({ socketPath: socket, method, path, headers: { Host: "engine" } }, resolve)
        .once("error", reject)
        .end();
    });
  }

  async function answers(): Promise<boolean> {
    try {
      const response = await ask("GET", "/_ping");
      response.resume();
      return response.statusCode === 200;
    } catch {
      return false;
    }
  }

  async function importImage(): Promise<void> {
    await writeFile(directory.join("busybox.tar"), await packRootfs(await busyboxEntries()));
    const path = "/images/create?fromSrc=-&repo=private/busybox&tag=latest&changes=ENV%20PATH=/bin";
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      const upload = request(
        { socketPath: socket, method: "POST", path, headers: { Host: "engine", "Content-Type": "application/x-tar" } },
        resolve,
      );
      createReadStream(directory.join("busybox.tar")).pipe(upload.once("error", reject));
    });
    const said = await text(response);
    if (response.statusCode !== 200) throw new Error(`The private engine did not take the image: ${said}`);
  }

  /** Every process of this engine names its directory on its command line: containerd its configuration, a shim its socket. */
  function parts(name: string): Promise<readonly Process[]> {
    return processesNamed(directory.path, name);
  }

  return {
    host: `unix://${socket}`,
    killDaemon: async () => {
      await end(daemon, "SIGKILL");
      await leftAfter(READY_MS, async () => (await parts("containerd")).map(({ pid }) => String(pid)));
    },
    restart: async () => {
      daemon = await startDaemon();
    },
    killContainerd: async () => killAll(await parts("containerd")),
    killShim: async () => killAll(await parts(SHIM)),
    containers: async () => {
      const list: unknown = JSON.parse(await text(await ask("GET", "/containers/json?all=true")));
      return Array.isArray(list)
        ? list.map((item: unknown) => String(typeof item === "object" && item !== null && "Names" in item ? item.Names : item))
        : [];
    },
    [Symbol.asyncDispose]: async () => {
      await end(daemon, "SIGTERM");
      killAll([...(await parts("containerd")), ...(await parts(SHIM))]);
      await unmountBelow(directory.path);
      await rm(directory.path, { recursive: true, force: true, maxRetries: 10 });
    },
  };
}

async function end(daemon: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (daemon.exitCode !== null || daemon.signalCode !== null) return;
  const ended = once(daemon, "exit");
  daemon.kill(signal);
  await ended;
}

/** `name` is what the kernel keeps of it: 15 characters. */
async function processesNamed(directory: string, name: string): Promise<readonly Process[]> {
  const found = await processesWith(directory);
  const names = await Promise.all(found.map(({ pid }) => readFile(`/proc/${pid}/comm`, "utf8").catch(() => "")));
  return found.filter((_process, index) => names[index]?.trim() === name);
}

function killAll(processes: readonly Process[]): void {
  for (const { pid } of processes) process.kill(pid, "SIGKILL");
}

async function unmountBelow(directory: string): Promise<void> {
  const mounts = (await readFile("/proc/self/mountinfo", "utf8")).split("\n").map((line) => line.split(" ")[4] ?? "");
  for (const mount of mounts.filter((path) => path.startsWith(`${directory}/`)).reverse())
    await run("umount", ["--lazy", mount]).catch(() => undefined);
}
