import { execFile } from "node:child_process";
import { chmod, copyFile, readFile, realpath } from "node:fs/promises";
import { basename } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { tempDirectory } from "./temp-directory.ts";

const run = promisify(execFile);

/** A program of this machine inside a sandbox: its flags for `run`, and how its command begins. */
export type HostProgram = AsyncDisposable & { readonly flags: readonly string[]; readonly command: readonly string[] };

/** A program of this machine with the libraries and the loader that it needs, to be mounted in an image that may have others. */
export async function hostProgram(path: string): Promise<HostProgram> {
  const directory = await tempDirectory();
  const name = basename(path);
  const { stdout } = await run("ldd", [path]);
  const libraries = [...stdout.matchAll(/(\/\S+) \(0x/g)].map(([, library = ""]) => library);
  for (const file of [path, ...libraries]) await copyFile(await realpath(file), directory.join(basename(file)));
  await chmod(directory.path, 0o755);
  const loader = libraries.map((library) => basename(library)).find((library) => library.startsWith("ld-linux")) ?? "";
  const place = `/host/${name}`;
  return {
    flags: ["--mount", `${directory.path}:${place}`],
    command: [`${place}/${loader}`, "--library-path", place, `${place}/${name}`],
    [Symbol.asyncDispose]: () => directory[Symbol.asyncDispose](),
  };
}

/** The path of a program of this machine. */
export async function programPath(name: string): Promise<string> {
  try {
    return (await run("sh", ["-c", 'command -v "$0"', name])).stdout.trim();
  } catch {
    throw new Error(`The tests need ${name}. Run \`npm test\`, which installs it where it can.`);
  }
}

/** Compiles `programs/NAME.go` into one file that needs nothing else. */
export async function compileGo(name: string): Promise<Buffer> {
  await using directory = await tempDirectory();
  const source = fileURLToPath(new URL(`programs/${name}.go`, import.meta.url));
  await run("gccgo", ["-static", "-s", "-o", directory.join(name), source]);
  return await readFile(directory.join(name));
}

/** pip as one file that Python runs: Debian has it in a package of its own, other systems beside `ensurepip`. */
export async function pipWheel(): Promise<string> {
  const places = "glob('/usr/share/python-wheels/pip-*.whl') + glob(sys.base_prefix + '/lib*/python3*/ensurepip/_bundled/pip-*.whl')";
  const { stdout } = await run("python3", ["-c", `import sys; from glob import glob; print((${places})[0])`]);
  return stdout.trim();
}
