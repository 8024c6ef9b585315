/** What this machine is and has. Plain Node.js without dependencies: it runs before anything is installed. */
import { spawnSync } from "node:child_process";
import { accessSync, constants, readFileSync } from "node:fs";
import { delimiter, join } from "node:path";

const SYSTEM_PATH = ["/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/local/bin", "/usr/bin", "/bin"];

/** An error whose message already says everything: what is missing, and what to do. */
export class SetupError extends Error {
  name = "SetupError";
}

export function isRoot() {
  return process.getuid?.() === 0;
}

/** Debian, Ubuntu, or something made from them: where `apt-get` installs what is needed. */
export function isDebian() {
  const release = readText("/etc/os-release");
  return /^ID(_LIKE)?=.*\b(debian|ubuntu)\b/m.test(release) && findProgram("apt-get") !== undefined;
}

/** The path of a program, also where only root's PATH looks; `undefined` when there is none. */
export function findProgram(name) {
  const directories = [...(process.env.PATH ?? "").split(delimiter), ...SYSTEM_PATH];
  return directories.map((directory) => join(directory, name)).find(isExecutable);
}

/** The Debian packages of `names` that are not installed. */
export function missingPackages(names) {
  const format = "${db:Status-Status} ${Package}\\n";
  const { stdout } = spawnSync("dpkg-query", ["-W", "-f", format, ...names], { encoding: "utf8" });
  const installed = new Set(
    (stdout ?? "")
      .split("\n")
      .filter((line) => line.startsWith("installed "))
      .map((line) => line.slice("installed ".length)),
  );
  return names.filter((name) => !installed.has(name));
}

let listsAreFresh = false;

/** Installs Debian packages as root. Throws `SetupError` with the last words of apt. */
export function installPackages(names) {
  const apt = (...args) =>
    spawnSync("apt-get", ["-qq", "-o", "Dpkg::Use-Pty=0", ...args], {
      encoding: "utf8",
      env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" },
      stdio: ["ignore", "pipe", "pipe"],
    });
  if (!listsAreFresh) listsAreFresh = apt("update").status === 0;
  const { status, stderr, error } = apt("install", "-y", "--no-install-recommends", ...names);
  if (status === 0) return;
  const words = (stderr || error?.message || "").trim().split("\n").slice(-5).join("\n");
  throw new SetupError(`apt-get could not install ${names.join(" ")}:\n${words}\nInstall them by hand, then run again.`);
}

export function readText(path) {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

function isExecutable(path) {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
