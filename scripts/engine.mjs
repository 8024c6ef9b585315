/** Finds a container engine that works, or installs and starts one where that can be done. `node scripts/engine.mjs` does it by hand. */
import { fileURLToPath } from "node:url";
import { findDaemon, offerRuntimes, ownDaemon, startDaemon } from "./engine-daemon.mjs";
import { DEFAULT_SOCKET, ping, usualEndpoints } from "./engine-sockets.mjs";
import { installPackages, isDebian, isRoot, SetupError } from "./machine.mjs";

/**
 * Resolves to `{ host, how }`: the engine's URL and whether it was `running`, `started` or `installed`. `log` takes one line at a time.
 * `runtimes` asks for crun and runsc as well where they can be had. Throws `SetupError` that says what to do.
 */
export async function ensureEngine({ log, runtimes = false }) {
  const engine = await findOrStart(log);
  if (runtimes) await offerRuntimes({ host: engine.host, log });
  return engine;
}

async function findOrStart(log) {
  const named = process.env.BELLJAR_ENGINE_SOCKET === undefined ? process.env.DOCKER_HOST : undefined;
  if (named !== undefined && named !== "") return useNamed(named);
  const endpoints = process.env.BELLJAR_ENGINE_SOCKET === undefined ? usualEndpoints() : [`unix://${ownDaemon().socket}`];
  let denied;
  for (const host of endpoints) {
    const answer = await ping(host);
    if (answer === "answers") return { host, how: "running" };
    if (answer === "denied") denied ??= host;
  }
  if (denied !== undefined) throw new SetupError(deniedAdvice(denied));
  if (!isRoot() || !isDebian()) throw new SetupError(advice());
  return installAndStart(log);
}

async function useNamed(host) {
  if ((await ping(host)) === "answers") return { host, how: "running" };
  throw new SetupError(`DOCKER_HOST names ${host}, but no engine answers there.\nStart that engine, or unset DOCKER_HOST.`);
}

async function installAndStart(log) {
  const { socket } = ownDaemon();
  const host = `unix://${socket}`;
  let how = "started";
  if (findDaemon() === undefined) {
    log("installing the engine: apt-get install docker.io");
    installPackages(["docker.io"]);
    how = "installed";
    // Where an init system runs, the package has started it by itself.
    if ((await ping(`unix://${DEFAULT_SOCKET}`)) === "answers") return { host: `unix://${DEFAULT_SOCKET}`, how };
  }
  await startDaemon(log);
  return { host, how };
}

function deniedAdvice(host) {
  return `An engine listens at ${host}, but this user may not use it.\nRun: sudo usermod -aG docker "$USER"   then log in again. Or use a rootless engine.`;
}

function advice() {
  if (process.platform === "darwin") {
    return "No container engine answers.\nStart Docker Desktop, OrbStack or Colima (brew install colima docker && colima start), or Podman (podman machine start).\nThen run again.";
  }
  if (isDebian()) {
    return 'No container engine answers, and only root can install one here.\nRun: sudo apt-get install -y docker.io && sudo usermod -aG docker "$USER"   then log in again.\nOr without root: sudo apt-get install -y podman, then systemctl --user enable --now podman.socket';
  }
  return "No container engine answers.\nInstall Docker (https://docs.docker.com/engine/install/) or Podman with your package manager,\nstart it (sudo systemctl start docker, or systemctl --user start podman.socket), then run again.";
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  try {
    const { host, how } = await ensureEngine({ log: (line) => console.error(line), runtimes: process.argv.includes("--runtimes") });
    console.log(`${host} (${how})`);
  } catch (error) {
    console.error(error instanceof SetupError ? error.message : error);
    process.exitCode = 1;
  }
}
