/**
 * Builds the guest, the first process of every sandbox, from `images/guest` into `dist/guest/linux-<arch>/guest`, and
 * writes `dist/guest/SHA256SUMS`.
 *
 *     node scripts/build-guest.mjs          for this machine's architecture
 *     node scripts/build-guest.mjs --all    also for the other one, when its cross compiler is installed
 */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = join(dirname(fileURLToPath(import.meta.url)), "..");
const SOURCES = join(ROOT, "images", "guest");
const OUTPUT = join(ROOT, "dist", "guest");

export const WARNINGS = ["-Wall", "-Wextra", "-Werror", "-Wconversion", "-Wshadow"];
export const LANGUAGE = ["-std=c11", "-D_GNU_SOURCE"];
const FLAGS = [
  ...LANGUAGE,
  ...WARNINGS,
  "-O2",
  "-fstack-protector-strong",
  "-D_FORTIFY_SOURCE=2",
  "-ffunction-sections",
  "-fdata-sections",
];
const LINK = ["-Wl,--gc-sections", "-Wl,-z,relro,-z,now", "-Wl,-z,noexecstack", "-Wl,--build-id=none", "-s"];

/** In order of preference: musl gives an eighth of glibc's size. The first that is installed is taken. */
const COMPILERS = {
  x64: { native: ["musl-gcc", "cc"], cross: ["x86_64-linux-musl-gcc", "x86_64-linux-gnu-gcc"], machine: "x86_64" },
  arm64: { native: ["musl-gcc", "cc"], cross: ["aarch64-linux-musl-gcc", "aarch64-linux-gnu-gcc"], machine: "aarch64" },
};

class BuildError extends Error {}

try {
  main(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof BuildError)) throw error;
  console.error(error.message);
  process.exitCode = 1;
}

function main(args) {
  const unknown = args.find((argument) => argument !== "--all");
  if (unknown !== undefined) throw new BuildError(`${unknown} is not an option of this script; --all is the only one.`);
  const own = process.arch;
  if (!(own in COMPILERS)) throw new BuildError(`The guest is built for x64 and arm64, and this machine is ${own}.`);
  for (const arch of Object.keys(COMPILERS)) {
    const compiler = findCompiler(arch);
    if (compiler !== undefined && (arch === own || args.includes("--all"))) build(arch, compiler);
    else if (arch === own) throw new BuildError(missingCompiler(arch));
    else if (args.includes("--all"))
      console.log(`linux-${arch}: left out, because neither ${COMPILERS[arch].cross.join(" nor ")} is installed.`);
  }
  writeSums();
}

/** The first installed compiler whose product runs on Linux of that architecture. */
function findCompiler(arch) {
  const { native, cross, machine } = COMPILERS[arch];
  const onTarget = process.platform === "linux" && process.arch === arch;
  return [...(onTarget ? native : []), ...cross].find((name) => {
    const target = run(name, ["-dumpmachine"]);
    return target?.startsWith(machine) && target.includes("linux");
  });
}

function missingCompiler(arch) {
  const { cross } = COMPILERS[arch];
  if (process.platform === "linux")
    return "No C compiler was found: install musl-tools (or gcc and a static C library) to build the guest.";
  return `The guest is a Linux program and this is ${process.platform}: install a cross compiler named ${cross.join(" or ")}.`;
}

/** What a command prints, or undefined when it can't be run. */
function run(command, args) {
  try {
    return execFileSync(command, args, { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).trim();
  } catch {
    return undefined;
  }
}

function build(arch, compiler) {
  const folder = join(OUTPUT, `linux-${arch}`);
  const target = join(folder, "guest");
  const stamp = join(folder, ".stamp");
  const digest = digestOfInputs(compiler);
  if (readIfThere(stamp) === `${digest} ${digestOf(readIfThere(target, null))}\n`) {
    console.log(`linux-${arch}: unchanged.`);
    return;
  }
  mkdirSync(folder, { recursive: true });
  const sources = sourceFiles(".c").map((name) => join(SOURCES, name));
  const fresh = `${target}.${process.pid}`;
  const mode = linkMode(compiler);
  compile(compiler, [...FLAGS, ...mode, ...sources, ...LINK, "-o", fresh]);
  if (needsInterpreter(readFileSync(fresh))) throw new BuildError(`${compiler} did not link a static program.`);
  renameSync(fresh, target);
  writeFileSync(stamp, `${digest} ${digestOf(readFileSync(target))}\n`);
  console.log(`linux-${arch}: built with ${compiler}, ${readFileSync(target).length} bytes.`);
}

/** A static program at a random address where the tools can link one, else at a fixed address. */
function linkMode(compiler) {
  const randomised = ["-static-pie", "-fPIE"];
  const folder = mkdtempSync(join(tmpdir(), "guest-link-"));
  try {
    const source = join(folder, "probe.c");
    const program = join(folder, "probe");
    writeFileSync(source, "int main(void) { return 0; }\n");
    const linked = run(compiler, [...randomised, source, "-o", program]) !== undefined;
    return linked && !needsInterpreter(readFileSync(program)) ? randomised : ["-static"];
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Some wrappers take `-static-pie` and link a program that needs a dynamic loader, which an empty image has not. */
function needsInterpreter(elf) {
  const PT_INTERP = 3;
  const table = Number(elf.readBigUInt64LE(32));
  const entrySize = elf.readUInt16LE(54);
  const entries = elf.readUInt16LE(56);
  return Array.from({ length: entries }, (_, index) => elf.readUInt32LE(table + index * entrySize)).includes(PT_INTERP);
}

function compile(compiler, args) {
  try {
    execFileSync(compiler, args, { stdio: ["ignore", "inherit", "inherit"] });
  } catch {
    throw new BuildError(`${compiler} could not build the guest: see what it says above.`);
  }
}

function sourceFiles(...endings) {
  return readdirSync(SOURCES)
    .filter((name) => endings.some((ending) => name.endsWith(ending)))
    .sort();
}

function digestOfInputs(compiler) {
  const hash = createHash("sha256");
  hash.update(JSON.stringify([compiler, run(compiler, ["--version"]), FLAGS, LINK, readFileSync(fileURLToPath(import.meta.url), "utf8")]));
  for (const name of sourceFiles(".c", ".h")) hash.update(`\0${name}\0`).update(readFileSync(join(SOURCES, name)));
  return hash.digest("hex");
}

function digestOf(bytes) {
  return bytes === undefined ? "none" : createHash("sha256").update(bytes).digest("hex");
}

function readIfThere(path, encoding = "utf8") {
  try {
    return readFileSync(path, encoding);
  } catch (error) {
    if (error.code === "ENOENT") return undefined;
    throw error;
  }
}

/** In the format of sha256sum, with paths from `dist/guest`. */
function writeSums() {
  const lines = Object.keys(COMPILERS).flatMap((arch) => {
    const path = `linux-${arch}/guest`;
    const bytes = readIfThere(join(OUTPUT, path), null);
    return bytes === undefined ? [] : [`${digestOf(bytes)}  ${path}\n`];
  });
  writeFileSync(join(OUTPUT, "SHA256SUMS"), lines.join(""));
}
