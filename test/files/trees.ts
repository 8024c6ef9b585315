import { lstat, mkdir, readdir, readFile, readlink, symlink, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";

/** A directory tree as data: each path with `mode content`, or `-> target` for a link, or `/` for a directory. */
export type Tree = Readonly<Record<string, string>>;

/** Everything below `root`, links not followed. */
export async function readTree(root: string): Promise<Tree> {
  const tree: Record<string, string> = {};
  for (const path of (await readdir(root, { recursive: true })).sort()) {
    const full = join(root, path);
    const stats = await lstat(full);
    if (stats.isSymbolicLink()) tree[path] = `-> ${await readlink(full)}`;
    else if (stats.isDirectory()) tree[path] = "/";
    else if (stats.isFile()) tree[path] = `${(stats.mode & 0o7777).toString(8)} ${await readFile(full, "utf8")}`;
    else tree[path] = "special";
  }
  return tree;
}

/** Writes files by path; a value that begins with `-> ` makes a link, `/` a directory. */
export async function writeTree(root: string, files: Readonly<Record<string, string | Buffer>>): Promise<void> {
  for (const [path, content] of Object.entries(files)) {
    const full = join(root, path);
    await mkdir(content === "/" ? full : dirname(full), { recursive: true });
    if (content === "/") continue;
    if (typeof content === "string" && content.startsWith("-> ")) await symlink(content.slice(3), full);
    else await writeFile(full, content);
  }
}
