/** A Docker engine of our own in the background, without an init system: its own data, pid file and log; nothing of another engine is touched. */
import { spawn, spawnSync } from "node:child_process";
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, rmSync, statfsSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { DEFAULT_SOCKET, ping, readJson } from "./engine-sockets.mjs";
import { findProgram, installPackages, isDebian, isRoot, missingPackages, readText, SetupError } from "./machine.mjs";

const READY_MS = 60_000;
const POLL_MS = 200;
const LOG_LINES = 15;
/** `f_type` of file systems: statfs(2). */
const [TMPFS, EXT4] = [0x01021994, 0xef53];
/** Where an engine keeps most of the files of its containers, in a directory for each. */
const PER_CONTAINER = ["overlay2", "containers"];

const RUNTIME_ARGS = { crun: [], runsc: ["--network=none", "--ignore-cgroups"] };

/** A sandbox needs no bridge, and one is a change of the machine's network that the next daemon beside this one may take away again. */
const NO_NETWORK = ["--bridge=none", "--iptables=false", "--ip6tables=false"];

/** Each retry answers one way in which a machine may refuse; the words are the daemon's own. */
const WAYS_OUT = [{ flags: ["--storage-driver=vfs"], when: /storage|graphdriver|overlay|driver not supported/i }];

/** Where our engine keeps its things; the environment can move them, for tests. */
export function ownDaemon() {
  const { BELLJAR_ENGINE_SOCKET, BELLJAR_ENGINE_ROOT, BELLJAR_ENGINE_RUN, BELLJAR_ENGINE_LOG } = process.env;
  const root = BELLJAR_ENGINE_ROOT ?? "/var/lib/belljar-engine";
  const run = BELLJAR_ENGINE_RUN ?? "/run/belljar-engine";
  return {
    socket: BELLJAR_ENGINE_SOCKET ?? DEFAULT_SOCKET,
    root,
    run,
    pidFile: `${run}.pid`,
    log: BELLJAR_ENGINE_LOG ?? "/var/log/belljar-engine.log",
    config: `${root}/daemon.json`,
  };
}

export function findDaemon() {
  return findProgram("dockerd");
}

/** Starts the daemon and waits until it answers. Throws `SetupError` with the end of its log. */
export async function startDaemon(log) {
  const own = ownDaemon();
  try {
    mkdirSync(own.root, { recursive: true, mode: 0o710 });
    mkdirSync(dirname(own.run), { recursive: true });
    mkdirSync(dirname(own.log), { recursive: true });
    writeConfig(own);
  } catch (error) {
    throw new SetupError(
      `The engine has no place to keep its data: ${error.message}.\nMake ${own.root}, ${dirname(own.run)} and ${dirname(own.log)} writable, then run again.`,
    );
  }
  const running = pidOf(own);
  if (running !== undefined) {
    log(`waiting for the engine that is already starting (process ${running})`);
    if (await isReady(own, () => pidOf(own) !== undefined)) return;
    throw failure(own, `The engine's process ${running} does not answer at ${own.socket}. End it (kill ${running}) and run again.`);
  }
  rmSync(own.pidFile, { force: true });
  keepInMemory(own.run, log);
  const flags = [...NO_NETWORK];
  const left = [...WAYS_OUT];
  while (true) {
    log(`starting dockerd${flags.length === 0 ? "" : ` ${flags.join(" ")}`} (log: ${own.log})`);
    if (await tryDaemon(own, flags)) return spreadContainers(own.root);
    const said = tail(own.log);
    const index = left.findIndex(({ when }) => when.test(said));
    if (index === -1) throw failure(own, "The engine did not start.");
    flags.push(...left.splice(index, 1)[0].flags);
  }
}

/** Installs crun and runsc where this machine has them, and tells an engine of our own about them. What cannot be had is left out. */
export async function offerRuntimes({ host, log }) {
  const own = ownDaemon();
  const wanted = Object.keys(RUNTIME_ARGS);
  for (const name of isRoot() && isDebian() ? missingPackages(wanted) : []) {
    try {
      log(`installing ${name}`);
      installPackages([name]);
    } catch {
      log(`${name} cannot be installed here; what needs it will say so`);
    }
  }
  const pid = pidOf(own);
  if (host !== `unix://${own.socket}` || pid === undefined) return;
  const known = Object.keys((await readJson(own.socket, "/info"))?.Runtimes ?? {});
  const added = wanted.filter((name) => findProgram(name) !== undefined && !known.includes(name));
  if (added.length === 0) return;
  log(`registering ${added.join(" and ")} with the engine`);
  writeConfig(own);
  process.kill(pid, "SIGHUP");
}

/**
 * What an engine keeps about its running containers, a few dozen files for each, is made for a /run in memory (hier(7), file-hierarchy(7)). Where nobody
 * mounted one, as in many containers and small virtual machines, the directory gets a tmpfs of its own; an engine without it is slower, and works.
 */
function keepInMemory(directory, log) {
  mkdirSync(directory, { recursive: true, mode: 0o711 });
  if (statfsSync(directory).type === TMPFS) return;
  log(`mounting a tmpfs at ${directory}`);
  const { status, stderr } = spawnSync("mount", ["-t", "tmpfs", "-o", "mode=0711,nosuid,nodev", "belljar-engine", directory], {
    encoding: "utf8",
  });
  if (status !== 0) log(`no tmpfs can be mounted there, which makes the engine slower: ${(stderr ?? "").trim()}`);
}

/**
 * An ext4 without a journal, as small virtual machines have it, does not give an inode away for minutes after it was free, and looks through all of its block
 * group for another one. Containers come and go by the hundred: the attribute T spreads their directories over all groups (chattr(1)).
 */
function spreadContainers(root) {
  const places = PER_CONTAINER.map((place) => join(root, place)).filter((place) => existsSync(place));
  if (statfsSync(root).type === EXT4 && places.length > 0) spawnSync("chattr", ["+T", ...places]);
}

function writeConfig({ config }) {
  const found = Object.entries(RUNTIME_ARGS).flatMap(([name, args]) => {
    const path = findProgram(name);
    return path === undefined ? [] : [[name, args.length === 0 ? { path } : { path, runtimeArgs: args }]];
  });
  writeFileSync(config, `${JSON.stringify({ runtimes: Object.fromEntries(found) }, null, 2)}\n`);
}

async function tryDaemon(own, flags) {
  const output = openSync(own.log, "w", 0o640);
  const args = [
    "--config-file",
    own.config,
    "--data-root",
    own.root,
    "--exec-root",
    own.run,
    "--pidfile",
    own.pidFile,
    "-H",
    `unix://${own.socket}`,
    ...flags,
  ];
  const daemon = spawn(findDaemon(), args, { detached: true, stdio: ["ignore", output, output] });
  closeSync(output);
  let ended = false;
  daemon.once("exit", () => (ended = true)).once("error", () => (ended = true));
  const ready = await isReady(own, () => !ended);
  if (ready) daemon.unref();
  else if (!ended) await end(daemon);
  return ready;
}

async function isReady({ socket }, isAlive) {
  const deadline = Date.now() + READY_MS;
  while (isAlive() && Date.now() < deadline) {
    if ((await ping(`unix://${socket}`)) === "answers") return true;
    await pause(POLL_MS);
  }
  return false;
}

async function end(daemon) {
  const ended = new Promise((resolve) => daemon.once("exit", resolve));
  daemon.kill("SIGTERM");
  await Promise.race([ended, pause(5_000, undefined, { ref: false })]);
  daemon.kill("SIGKILL");
}

/** The process of our daemon, or `undefined` when the pid file is missing or names another program by now. */
function pidOf({ pidFile }) {
  const pid = Number.parseInt(readText(pidFile), 10);
  return pid > 0 && readText(`/proc/${pid}/comm`).trim() === "dockerd" ? pid : undefined;
}

function tail(path) {
  const size = statSync(path, { throwIfNoEntry: false })?.size ?? 0;
  return size === 0 ? "" : readFileSync(path, "utf8").trimEnd().split("\n").slice(-LOG_LINES).join("\n");
}

function failure({ log }, sentence) {
  return new SetupError(
    `${sentence} The end of ${log}:\n${tail(log)}\nDocker needs a kernel with namespaces, cgroups and overlayfs, and real root. Inside a container, start that container with --privileged,\nor give it another engine: DOCKER_HOST=unix:///path/to.sock.`,
  );
}
