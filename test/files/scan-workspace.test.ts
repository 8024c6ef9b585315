import { execFileSync } from "node:child_process";
import { chmod, mkdir, readdir, symlink, writeFile } from "node:fs/promises";
import { describe, expect, it } from "vitest";
import { type ScanOptions, scanWorkspace } from "../../src/files/scan-workspace.ts";
import { spentMs } from "../lab/spent-time.ts";
import { tempDirectory } from "../lab/temp-directory.ts";
import { writeTree } from "./trees.ts";

function scan(directory: string, options: Partial<ScanOptions> = {}) {
  return scanWorkspace(directory, { exclude: [], withGit: false, maxBytes: 1024 ** 3, maxEntries: 10_000, ...options });
}

async function pathsOf(files: Readonly<Record<string, string>>, options: Partial<ScanOptions> = {}): Promise<string[]> {
  await using directory = await tempDirectory();
  await writeTree(directory.path, files);
  return (await scan(directory.path, options)).entries.filter(({ kind }) => kind !== "directory").map(({ path }) => path);
}

describe("scanWorkspace", () => {
  it("lists files, directories and links in one order, with modes and sizes", async () => {
    await using directory = await tempDirectory();
    await writeTree(directory.path, { "b/z": "12345", "b/a/x": "1", a: "", empty: "/", link: "-> /etc/passwd", dirlink: "-> b" });
    await chmod(directory.join("a"), 0o4755);
    const { entries, bytes, cost, root, skipped } = await scan(directory.path);
    expect(entries.map(({ path, kind }) => `${kind} ${path}`)).toEqual([
      "file a",
      "symlink dirlink",
      "symlink link",
      "directory b",
      "file b/z",
      "directory b/a",
      "file b/a/x",
      "directory empty",
    ]);
    expect(entries[0]).toMatchObject({ mode: 0o755, size: 0 });
    expect(entries[2]).toMatchObject({ target: "/etc/passwd" });
    expect({ bytes, cost, root, skipped }).toEqual({ bytes: 6, cost: 8192, root: directory.path, skipped: [] });
  });

  it("leaves out what .gitignore files say, nested and negated as git does", async () => {
    const files = {
      ".gitignore": "*.log\n/build\nnode_modules/\n!keep.log\n# comment\n\\#odd\ncache/**\n!cache/keep\ntrailing   \n",
      "sub/.gitignore": "!*.log\nlocal\n/rooted\n!build\n",
      "sub/[x]/.gitignore": "y\n",
      "a.log": "",
      "keep.log": "",
      "#odd": "",
      trailing: "",
      "build/x": "",
      "node_modules/m/x": "",
      "cache/drop": "",
      "cache/keep": "",
      "sub/b.log": "",
      "sub/local": "",
      "sub/deep/local": "",
      "sub/rooted": "",
      "sub/deep/rooted": "",
      "sub/build/x": "",
      "sub/[x]/y": "",
      "sub/[x]/z": "",
      "x/y": "",
    };
    await using directory = await tempDirectory();
    await writeTree(directory.path, files);
    execFileSync("git", ["init", "-q", directory.path]);
    const theirs = execFileSync("git", ["-C", directory.path, "ls-files", "-z", "--others", "--exclude-standard"], { encoding: "utf8" })
      .split("\0")
      .filter((path) => path !== "");
    const ours = (await scan(directory.path)).entries.filter(({ kind }) => kind !== "directory").map(({ path }) => path);
    expect([...ours].sort()).toEqual([...theirs].sort());
    expect(ours).toContain("sub/b.log");
  });

  it("knows the rules of the repository around it and .git/info/exclude", async () => {
    await using directory = await tempDirectory();
    await writeTree(directory.path, {
      ".git/info/exclude": "secret\n",
      ".gitignore": "/pkg/dist\n*.tmp\nleft-out/\n",
      "pkg/dist/x": "",
      "pkg/a.tmp": "",
      "pkg/secret": "",
      "pkg/b": "",
      "left-out/a.tmp": "",
    });
    expect((await scan(directory.join("pkg"))).entries.map(({ path }) => path)).toEqual(["b"]);
    expect((await scan(directory.join("left-out"))).entries.map(({ path }) => path)).toEqual(["a.tmp"]);
  });

  it("leaves .git out at any depth, and takes it whole when asked", async () => {
    const files = { ".git/objects/x.log": "", ".git/HEAD": "", "sub/.git": "gitdir: x", ".gitignore": "*.log\n", a: "" };
    expect(await pathsOf(files)).toEqual([".gitignore", "a"]);
    expect(await pathsOf(files, { withGit: true })).toEqual([".gitignore", "a", ".git/HEAD", ".git/objects/x.log", "sub/.git"]);
  });

  it("leaves out what --exclude names: anywhere without a slash, from the top with one", async () => {
    const files = { "a/x.bin": "", "b.bin": "", "a/b/c": "", "b/c": "", "node_modules/m": "", "sub/node_modules/m": "" };
    expect(await pathsOf(files, { exclude: ["*.bin", "b/c", "node_modules"] })).toEqual(["a/b/c"]);
  });

  it("refuses an exclusion that leads outside", async () => {
    await expect(scan("/", { exclude: ["../x"] })).rejects.toMatchObject({ code: "BAD_GLOB" });
  });

  it("lists sockets and pipes as skipped, and names that are not UTF-8", async () => {
    await using directory = await tempDirectory();
    execFileSync("mkfifo", [directory.join("pipe")]);
    await writeFile(Buffer.concat([Buffer.from(directory.join("bad-")), Buffer.of(0xff)]), "x");
    const { entries, skipped } = await scan(directory.path);
    expect(entries).toEqual([]);
    expect(skipped).toEqual([
      { path: "bad-\ufffd", why: "its name is not UTF-8" },
      { path: "pipe", why: "a named pipe" },
    ]);
  });

  it("never follows a link, not even one that leads in a circle", async () => {
    await using directory = await tempDirectory();
    await symlink(".", directory.join("loop"));
    await symlink("nowhere", directory.join("dangling"));
    expect((await scan(directory.path)).entries.map(({ path, kind }) => `${kind} ${path}`)).toEqual(["symlink dangling", "symlink loop"]);
  });

  it("knows later what it would have left out", async () => {
    await using directory = await tempDirectory();
    await writeTree(directory.path, { ".gitignore": "*.pyc\nvenv/\n", "a/.gitignore": "tmp\n" });
    const workspace = await scan(directory.path, { exclude: ["*.bin"] });
    const left = ["x.pyc", "new/x.pyc", "venv/lib/x", "a/tmp", "a/new/tmp/x", "d/x.bin", ".git/config"].filter(
      (path) => !workspace.leavesOut(path),
    );
    expect(left).toEqual([]);
    expect(["x.py", "tmp", "new/y"].filter((path) => workspace.leavesOut(path))).toEqual([]);
  });

  it("says what is missing or no directory", async () => {
    await using directory = await tempDirectory();
    await writeFile(directory.join("file"), "");
    await expect(scan(directory.join("none"))).rejects.toMatchObject({
      code: "WORKSPACE_MISSING",
      message: expect.stringContaining('none" does not exist'),
    });
    await expect(scan(directory.join("file"))).rejects.toMatchObject({
      code: "WORKSPACE_MISSING",
      message: expect.stringContaining("is not a directory"),
    });
  });

  it.each([
    ["file", "secret.txt"],
    ["directory", "dir"],
  ])("names the first %s that can't be read", async (_, name) => {
    await using directory = await tempDirectory();
    await writeTree(directory.path, { "readable.txt": "", "secret.txt": "" });
    await mkdir(directory.join("dir"));
    await chmod(directory.path, 0o755);
    await chmod(directory.join(name), 0);
    await expect(asOrdinaryUser(() => scan(directory.path))).rejects.toMatchObject({
      code: "WORKSPACE_UNREADABLE",
      message: `"${name}" in the workspace can't be read (EACCES).`,
    });
  });

  it("refuses too many bytes, counted in pages, and names the limit and what to do", async () => {
    await using directory = await tempDirectory();
    await writeTree(directory.path, { a: "1", b: "1", c: "1" });
    await expect(scan(directory.path, { maxBytes: 8192 })).rejects.toMatchObject({
      code: "WORKSPACE_TOO_LARGE",
      message: expect.stringMatching(/more than 8 KiB \(reached at "c"\)/),
      hint: expect.stringMatching(/--disk.*--exclude/),
    });
    expect((await scan(directory.path, { maxBytes: 12_288 })).cost).toBe(12_288);
  });

  it("refuses a sparse file of a terabyte without reading it", async () => {
    await using directory = await tempDirectory();
    execFileSync("truncate", ["-s", "1T", directory.join("sparse")]);
    await expect(scan(directory.path)).rejects.toMatchObject({ code: "WORKSPACE_TOO_LARGE" });
  });

  it("leaves a huge directory at the limit", async () => {
    await using directory = await tempDirectory();
    execFileSync("sh", ["-c", `seq 8000 | xargs touch`], { cwd: directory.path });
    const start = process.cpuUsage();
    await expect(scan(directory.path, { maxEntries: 2000 })).rejects.toMatchObject({
      code: "WORKSPACE_TOO_LARGE",
      message: expect.stringContaining("more than 2000 entries"),
    });
    expect(spentMs(start)).toBeLessThan(250);
    expect(await readdir(directory.path)).toHaveLength(8000);
  });
});

/** Does something without the rights of the superuser, whom no permission stops. */
async function asOrdinaryUser<T>(act: () => Promise<T>): Promise<T> {
  if (process.geteuid?.() !== 0) return act();
  process.seteuid?.(65_534);
  try {
    return await act();
  } finally {
    process.seteuid?.(0);
  }
}
