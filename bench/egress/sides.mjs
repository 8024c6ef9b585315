/** The same client in three places: in a sandbox, in a container on a bridge with a proxy at its other end, and on this machine itself. */
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as delay } from "node:timers/promises";
import { docker, POSTURE, removeContainer } from "../../scripts/bench-peer.mjs";

const DIRECTORY = new URL(".", import.meta.url).pathname;
const CLIENT = join(DIRECTORY, "client.mjs");

/** Addresses for benchmarks (RFC 2544): one for the bridge, where proxies listen, and one for the container. */
const BRIDGE_ADDRESS = "198.18.77.1";
const CLIENT_ADDRESS = "198.18.77.2";
const PORTS = { tinyproxy: 8888, mitmproxy: 8889 };
const START_MS = 15_000;
const START = { tinyproxy: startTinyproxy, mitmproxy: startMitmproxy };

/** The client in a sandbox that may reach what `flags` say. */
export function clientInSandbox(image, { flags, env = {} }) {
  const args = ["run", "--quiet", "--image", image, "--interactive", "--workspace", DIRECTORY, "--timeout", "1h", ...flags];
  return openClient("bin/sandbox.js", [...args, "--", "node", "client.mjs"], { ...process.env, ...env });
}

export function clientOutside() {
  return openClient(process.execPath, [CLIENT], process.env);
}

let bridges = 0;

/** The client in a container, held down as a sandbox is, whose one way out is a bridge with a proxy on this machine. */
export async function clientOnBridge(image, { proxy, directory }) {
  const name = `bench-egress-${process.pid}`;
  // The kernel takes an interface down some time after its container: the next bridge needs names of its own.
  bridges += 1;
  const bridge = `bjb${process.pid}-${bridges}`;
  openBridge(bridge);
  const daemon = await START[proxy](directory).catch((error) => {
    ip("link", "delete", bridge);
    throw error;
  });
  const mount = ["--mount", `type=bind,source=${CLIENT},target=/client.mjs,readonly`];
  const client = openClient(
    "docker",
    ["run", "--rm", "-i", "--name", name, ...POSTURE, ...mount, image, "node", "/client.mjs"],
    process.env,
  );
  const close = async () => {
    await client.close();
    await removeContainer(name).catch(() => undefined);
    daemon.kill();
    ip("link", "delete", bridge);
  };
  try {
    await client.ask({ job: "requests", count: 0, connections: 0 });
    joinBridge(bridge, await docker("inspect", "--format", "{{.State.Pid}}", name));
    return { ...client, close, proxy: { host: BRIDGE_ADDRESS, port: PORTS[proxy] } };
  } catch (error) {
    await close();
    throw error;
  }
}

function openBridge(bridge) {
  ip("link", "add", bridge, "type", "bridge");
  ip("address", "add", `${BRIDGE_ADDRESS}/30`, "dev", bridge);
  ip("link", "set", bridge, "up");
}

function joinBridge(bridge, pid) {
  const [ours, theirs] = [`${bridge}a`, `${bridge}b`];
  ip("link", "add", ours, "master", bridge, "type", "veth", "peer", "name", theirs);
  ip("link", "set", ours, "up");
  ip("link", "set", theirs, "netns", pid);
  const inside = (...args) => execFileSync("nsenter", ["--target", pid, "--net", "ip", ...args]);
  inside("address", "add", `${CLIENT_ADDRESS}/30`, "dev", theirs);
  inside("link", "set", theirs, "up");
}

function ip(...args) {
  execFileSync("ip", args);
}

async function startTinyproxy(directory) {
  const file = join(directory, "tinyproxy.conf");
  const lines = [
    `Port ${PORTS.tinyproxy}`,
    `Listen ${BRIDGE_ADDRESS}`,
    "MaxClients 256",
    "Timeout 600",
    "LogLevel Critical",
    `LogFile "${file}.log"`,
  ];
  await writeFile(file, `${lines.join("\n")}\n`);
  return startDaemon("tinyproxy", ["-d", "-c", file], PORTS.tinyproxy);
}

function startMitmproxy(directory) {
  const where = [
    "--listen-host",
    BRIDGE_ADDRESS,
    "--listen-port",
    String(PORTS.mitmproxy),
    "--set",
    `confdir=${join(directory, "mitmproxy")}`,
  ];
  return startDaemon("mitmdump", ["--quiet", "--ssl-insecure", "--set", "connection_strategy=lazy", ...where], PORTS.mitmproxy);
}

async function startDaemon(command, args, port) {
  const child = spawn(command, args, { stdio: ["ignore", "ignore", "pipe"] });
  let said = "";
  child.stderr.on("data", (text) => (said += text));
  for (const until = Date.now() + START_MS; !(await accepts(port)); await delay(50)) {
    if (child.exitCode !== null || Date.now() > until) {
      child.kill();
      throw new Error(`${command} does not listen: ${said}`);
    }
  }
  return child;
}

function accepts(port) {
  return new Promise((resolve) => {
    const socket = connect({ host: BRIDGE_ADDRESS, port });
    socket.on("connect", () => resolve(true)).on("error", () => resolve(false));
    socket.once("connect", () => socket.destroy());
  });
}

/** `ask` resolves to the numbers that one job gives; one job at a time. */
function openClient(command, args, env) {
  const child = spawn(command, args, { env, stdio: ["pipe", "pipe", "pipe"] });
  let said = "";
  child.stderr.on("data", (text) => (said += text));
  const closed = once(child, "close");
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  child.stdin.on("error", () => undefined);
  const ask = async (job) => {
    child.stdin.write(`${JSON.stringify(job)}\n`);
    const { value, done } = await lines.next();
    if (done) throw new Error(`${command} ended: ${said}`);
    const { values, error } = JSON.parse(value);
    if (error !== undefined) throw new Error(`${error}\n${said}`);
    return values;
  };
  const close = async () => {
    child.stdin.end();
    await closed;
  };
  return { ask, close };
}
