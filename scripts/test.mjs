/** `npm test`: sets this machine up, runs every test, and ends with one line that counts them. Arguments go to vitest. */
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { constants, tmpdir } from "node:os";
import { join } from "node:path";
import { ensureEngine } from "./engine.mjs";
import { findProgram, installPackages, isDebian, isRoot, missingPackages, readText, SetupError } from "./machine.mjs";
import { build, ensureCompiler, ensureDependencies, ROOT, requireNode } from "./prepare.mjs";

/** Debian package → the program that shows it is there on other systems. */
const NEEDED = {
  "busybox-static": "busybox",
  curl: "curl",
  gcc: "cc",
  gccgo: "gccgo",
  git: "git",
  iproute2: "ip",
  mmdebstrap: "mmdebstrap",
  "musl-tools": "musl-gcc",
  "openssh-client": "ssh",
  openssl: "openssl",
  patch: "patch",
  podman: "podman",
  postgresql: "initdb",
  procps: "ps",
  python3: "python3",
  // Other systems have pip beside Python itself.
  "python3-pip-whl": "python3",
  "redis-tools": "redis-server",
  strace: "strace",
  "stress-ng": "stress-ng",
  unzip: "unzip",
  wget: "wget",
};

const closing = mkdtempSync(join(tmpdir(), "belljar-test-"));
try {
  requireNode();
  await setUp();
  process.exitCode = await runTests();
} catch (error) {
  console.error(error instanceof SetupError ? error.message : error);
  console.log("0 passed, 1 failed");
  process.exitCode = 1;
} finally {
  rmSync(closing, { recursive: true, force: true });
}

async function setUp() {
  say(`dependencies: ${ensureDependencies()}`);
  ensureCompiler();
  say(`build: ${build()}`);
  say(`programs: ${ensurePrograms()}`);
  const { host, how } = await ensureEngine({ log: say, runtimes: true });
  process.env.DOCKER_HOST = host;
  say(`engine: ${host} (${how})`);
}

function ensurePrograms() {
  const missing = isDebian()
    ? missingPackages(Object.keys(NEEDED))
    : Object.keys(NEEDED).filter((name) => findProgram(NEEDED[name]) === undefined);
  if (missing.length === 0) return "all there";
  if (!isRoot() || !isDebian()) {
    throw new SetupError(
      `The tests need programs that are not installed: ${missing.join(", ")}.\nOn Debian or Ubuntu run: sudo apt-get install -y ${missing.join(" ")}`,
    );
  }
  say(`installing ${missing.join(" ")}`);
  installPackages(missing);
  return "installed";
}

/** Runs vitest and prints the closing line after everything else; a failure that is no test's still counts as one. */
async function runTests() {
  const file = join(closing, "line");
  const status = await vitest(file);
  const line = readText(file);
  const clean = line !== "" && / 0 failed/.test(line);
  if (status !== 0 && clean) console.log(line.replace(" 0 failed", " 1 failed"));
  else console.log(line === "" ? "0 passed, 1 failed" : line);
  return status === 0 && !clean ? 1 : status;
}

function vitest(file) {
  return new Promise((resolve, reject) => {
    const args = ["node_modules/vitest/vitest.mjs", "run", ...process.argv.slice(2)];
    const child = spawn(process.execPath, args, {
      cwd: ROOT,
      stdio: ["ignore", "inherit", "inherit"],
      env: { ...process.env, CLOSING_LINE_FILE: file },
    });
    const pass = (signal) => child.kill(signal);
    process.on("SIGINT", pass).on("SIGTERM", pass);
    child.once("error", reject);
    child.once("close", (status, signal) => resolve(status ?? 128 + (constants.signals[signal] ?? 0)));
  });
}

function say(line) {
  console.log(`set-up: ${line}`);
}
