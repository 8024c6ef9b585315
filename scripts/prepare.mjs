/** What every script needs first: a Node.js that is new enough, the dependencies, a C compiler, and the build. */
import { spawnSync } from "node:child_process";
import { statSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { findProgram, installPackages, isDebian, isRoot, SetupError } from "./machine.mjs";

export const ROOT = fileURLToPath(new URL("..", import.meta.url));

const OLDEST_NODE = [20, 19];

/** Throws `SetupError` when this Node.js is too old. */
export function requireNode() {
  const [major, minor] = process.versions.node.split(".").map(Number);
  if (major > OLDEST_NODE[0] || (major === OLDEST_NODE[0] && minor >= OLDEST_NODE[1])) return;
  throw new SetupError(
    `This is Node.js ${process.versions.node}; ${OLDEST_NODE.join(".")} or newer is needed. Install it from https://nodejs.org.`,
  );
}

/** Installs what package-lock.json names, unless that has been done since it changed. */
export function ensureDependencies() {
  if (changedAt("node_modules/.package-lock.json") >= Math.max(changedAt("package-lock.json"), 1)) return "up to date";
  const quiet = ["--no-audit", "--no-fund", "--loglevel=error"];
  if (run("npm", ["ci", ...quiet]).status === 0) return "installed";
  const { status, output } = run("npm", ["install", ...quiet]);
  if (status === 0) return "installed";
  throw new SetupError(
    `npm could not install the dependencies:\n${lastLines(output)}\nCheck that the registry can be reached (npm ping), then run again.`,
  );
}

/** The guest is C: its build needs a compiler and the C library's headers. */
export function ensureCompiler() {
  if (findProgram("cc") !== undefined || findProgram("gcc") !== undefined || findProgram("clang") !== undefined) return "found";
  if (!isRoot() || !isDebian())
    throw new SetupError(
      "There is no C compiler (cc).\nRun: sudo apt-get install -y gcc libc6-dev   or install the one of your system, then run again.",
    );
  installPackages(["gcc", "libc6-dev"]);
  return "installed";
}

/** Builds dist/. */
export function build() {
  const { status, output } = run("npm", ["run", "--silent", "build"]);
  if (status !== 0) throw new SetupError(`The build failed:\n${lastLines(output)}`);
  return "built";
}

function run(command, args) {
  const { status, stdout, stderr, error } = spawnSync(command, args, { cwd: ROOT, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
  return { status, output: `${stdout ?? ""}${stderr ?? ""}${error?.message ?? ""}` };
}

function changedAt(path) {
  return statSync(new URL(path, new URL("..", import.meta.url)), { throwIfNoEntry: false })?.mtimeMs ?? 0;
}

function lastLines(text) {
  return text.trimEnd().split("\n").slice(-25).join("\n");
}
