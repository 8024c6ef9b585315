import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { buffer } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { pack } from "tar-stream";
import { tempDirectory } from "./temp-directory.ts";

const run = promisify(execFile);

/** One entry of an image's root file system; owned by root. */
export type Entry =
  | { readonly path: string; readonly content: string | Buffer; readonly mode?: number }
  | { readonly path: string; readonly linkTo: string }
  | { readonly path: string; readonly directory: true; readonly mode?: number };

/** A root file system as a tar archive. The same entries give the same bytes. */
export function packRootfs(entries: readonly Entry[]): Promise<Buffer> {
  const archive = pack();
  const mtime = new Date(0);
  for (const entry of entries) {
    if ("content" in entry) archive.entry({ name: entry.path, mode: entry.mode ?? 0o644, mtime }, entry.content);
    else if ("linkTo" in entry) archive.entry({ name: entry.path, type: "symlink", linkname: entry.linkTo, mtime });
    else archive.entry({ name: entry.path, type: "directory", mode: entry.mode ?? 0o755, mtime });
  }
  archive.finalize();
  return buffer(archive);
}

/** The static busybox of this machine with a link for each of its applets. */
export async function busyboxEntries(): Promise<readonly Entry[]> {
  const { stdout } = await run("busybox", ["--list"]);
  const applets = stdout.split("\n").filter((name) => name !== "" && name !== "busybox");
  return [
    { path: "bin/busybox", content: await readFile("/bin/busybox"), mode: 0o755 },
    ...applets.map((name) => ({ path: `bin/${name}`, linkTo: "busybox" })),
    { path: "etc/passwd", content: "root:x:0:0:root:/:/bin/sh\nsandbox:x:65532:65532::/workspace:/bin/sh\n" },
    { path: "tmp", directory: true, mode: 0o1777 },
  ];
}

/** musl's dynamic loader where its programs look for it. */
export async function muslEntries(): Promise<readonly Entry[]> {
  const loader = process.arch === "arm64" ? "ld-musl-aarch64.so.1" : "ld-musl-x86_64.so.1";
  return [{ path: `lib/${loader}`, content: await readFile(`/lib/${loader}`), mode: 0o755 }];
}

/** Compiles `programs/NAME.c` against musl. */
export async function compile(name: string, flags: readonly string[]): Promise<Buffer> {
  await using directory = await tempDirectory();
  const output = directory.join(name);
  const source = fileURLToPath(new URL(`programs/${name}.c`, import.meta.url));
  await run("musl-gcc", ["-O2", "-Wall", "-Wextra", "-Werror", "-s", ...flags, "-o", output, source]);
  return await readFile(output);
}
