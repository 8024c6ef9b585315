import { execFile } from "node:child_process";
import { chmod, cp, mkdir, readdir, readFile, symlink, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { describe, expect, it } from "vitest";
import { TEST_IMAGES } from "../lab/images.ts";
import { runJson } from "../lab/run-json.ts";
import { type TempDirectory, tempDirectory } from "../lab/temp-directory.ts";

const PROJECT = fileURLToPath(new URL("../fixtures/python-project", import.meta.url));
const DEBIAN = ["--image", TEST_IMAGES.debian];
const exec = promisify(execFile);

/** A directory with the files named by path. */
async function treeOf(files: Readonly<Record<string, string>>): Promise<TempDirectory> {
  const directory = await tempDirectory();
  for (const [path, text] of Object.entries(files)) {
    await mkdir(directory.join(path, ".."), { recursive: true });
    await writeFile(directory.join(path), text);
  }
  return directory;
}

describe("a Python project with a failing test", () => {
  it("is copied in, its test suite runs, and the JUnit file comes out although the command failed", async () => {
    await using directory = await tempDirectory();
    const out = directory.join("out");
    const { status, result } = await runJson([
      ...DEBIAN,
      "--workspace",
      PROJECT,
      "--artifact",
      "report.xml",
      "--out",
      out,
      "--",
      "python3",
      "-B",
      "run_tests.py",
    ]);
    expect({ status, reason: result.reason, paths: result.artifacts.map(({ path }) => path) }).toEqual({
      status: 1,
      reason: "completed",
      paths: ["report.xml"],
    });
    const report = await readFile(`${out}/report.xml`, "utf8");
    expect(report).toContain('<testsuite name="ledger" tests="2" failures="1" errors="0">');
    expect(result.artifacts[0]?.bytes).toBe(Buffer.byteLength(report));
  });

  it("gives a patch of what a script in the sandbox mended, which `patch -p1` applies so that the tests pass", async () => {
    await using directory = await tempDirectory();
    const project = directory.join("project");
    await cp(PROJECT, project, { recursive: true });
    const before = await readFile(`${project}/ledger/__init__.py`, "utf8");
    const patch = directory.join("fix.patch");
    const { result } = await runJson([...DEBIAN, "--workspace", project, "--patch", patch, "--", "./fix.sh"]);
    expect(result).toMatchObject({ reason: "completed", exit: { code: 0 }, refused: [] });
    expect(await readFile(`${project}/ledger/__init__.py`, "utf8")).toBe(before);
    await exec("patch", ["-p1", "-i", patch], { cwd: project });
    expect(await readdir(project)).toEqual(expect.arrayContaining(["CHANGES to share.txt"]));
    expect(await readdir(project)).not.toContain("NOTES.txt");
    const { status } = await runJson([...DEBIAN, "--workspace", project, "--", "python3", "-B", "run_tests.py"]);
    expect(status).toBe(0);
  });
});

describe("--workspace", () => {
  it("honours .gitignore and --exclude and leaves .git out, unless --with-git", async () => {
    await using directory = await treeOf({
      ".gitignore": "*.log\nbuild/\n!keep.log\n",
      "a.txt": "a",
      "b.log": "b",
      "keep.log": "k",
      "build/x": "x",
      "deep/c.tmp": "c",
      "deep/d.txt": "d",
      ".git/config": "[core]",
    });
    const list = async (...flags: readonly string[]) => {
      const { result } = await runJson(["--workspace", directory.path, ...flags, "--", "find", ".", "-type", "f"]);
      return result.stdout.text?.trim().split("\n").sort();
    };
    expect(await list()).toEqual(["./.gitignore", "./a.txt", "./deep/c.tmp", "./deep/d.txt", "./keep.log"]);
    expect(await list("--exclude", "*.tmp", "--exclude", "deep/d.txt")).toEqual(["./.gitignore", "./a.txt", "./keep.log"]);
    expect(await list("--with-git")).toContain("./.git/config");
  });

  it("keeps executable bits, times, links and awkward names", async () => {
    await using directory = await treeOf({ "run.sh": "#!/bin/sh\necho ran\n", "-rf": "dash", "with space": "s", näme: "u", empty: "" });
    await chmod(directory.join("run.sh"), 0o755);
    await symlink("run.sh", directory.join("link"));
    const { result } = await runJson([
      "--workspace",
      directory.path,
      "--",
      "sh",
      "-c",
      "./link && readlink link && cat ./-rf 'with space' näme && stat -c %s empty",
    ]);
    expect(result.stdout.text).toBe("ran\nrun.sh\ndashsu0\n");
  });

  it("is the command's own: it can be written, and nothing of it reaches the host", async () => {
    await using directory = await treeOf({ "a.txt": "before" });
    const { status } = await runJson(["--workspace", directory.path, "--", "sh", "-c", "echo after > a.txt && rm -f ./-rf && touch new"]);
    expect(status).toBe(0);
    expect(await readFile(directory.join("a.txt"), "utf8")).toBe("before");
    expect(await readdir(directory.path)).toEqual(["a.txt"]);
  });
});

describe("--mount", () => {
  it("is read-only unless it says otherwise", async () => {
    await using directory = await treeOf({ "data.txt": "data" });
    await chmod(directory.path, 0o777);
    const refused = await runJson(["--mount", `${directory.path}:/data`, "--", "sh", "-c", "cat /data/data.txt; echo x > /data/new"]);
    expect(refused.result.stdout.text).toBe("data");
    expect(refused.result.stderr.text).toContain("Read-only file system");
    expect((await runJson(["--mount", `${directory.path}:/data:rw`, "--", "sh", "-c", "echo x > /data/new"])).status).toBe(0);
    expect(await readdir(directory.path)).toEqual(["data.txt", "new"]);
  });
});

describe("--artifact", () => {
  const write = "mkdir -p out/deep && echo 1 > out/a.csv && echo 2 > out/deep/b.csv && echo 3 > out/c.txt && chmod 755 out/c.txt";

  it.each([
    [["out/*.csv"], ["out/a.csv"]],
    [["**/*.csv"], ["out/a.csv", "out/deep/b.csv"]],
    [["out"], ["out/a.csv", "out/c.txt", "out/deep/b.csv"]],
    [
      ["out/c.txt", "out/deep/*"],
      ["out/c.txt", "out/deep/b.csv"],
    ],
  ])("collects what %j names", async (globs, paths) => {
    await using directory = await tempDirectory();
    const flags = globs.flatMap((glob) => ["--artifact", glob]);
    const { result } = await runJson([...flags, "--out", directory.join("out"), "--", "sh", "-c", write]);
    expect(result.artifacts.map(({ path }) => path).sort()).toEqual(paths);
  });

  it("collects also after a timeout and after running out of memory", async () => {
    await using directory = await tempDirectory();
    const late = await runJson([
      "--artifact",
      "r",
      "--out",
      directory.join("late"),
      "--timeout",
      "500ms",
      "--",
      "sh",
      "-c",
      "echo partial > r; sleep 60",
    ]);
    expect(late.result).toMatchObject({ reason: "timeout", artifacts: [{ path: "r", bytes: 8 }] });
    expect(await readFile(directory.join("late", "r"), "utf8")).toBe("partial\n");
    const hungry = await runJson([
      ...DEBIAN,
      "--memory",
      "128m",
      "--disk",
      "32m",
      "--tmp-size",
      "32m",
      "--artifact",
      "r",
      "--out",
      directory.join("oom"),
      "--",
      "sh",
      "-c",
      "echo partial > r; exec python3 -c 'x = bytearray(10**9)'",
    ]);
    expect(hungry.result).toMatchObject({ reason: "oom", artifacts: [{ path: "r", bytes: 8 }] });
  });

  it("refuses links, pipes and devices by name, and takes the rest", async () => {
    await using directory = await tempDirectory();
    const { result } = await runJson([
      "--artifact",
      "**",
      "--out",
      directory.join("out"),
      "--",
      "sh",
      "-c",
      "ln -s /etc/passwd link; mkfifo pipe; echo ok > file; chmod 4755 file",
    ]);
    expect(result.artifacts).toMatchObject([{ path: "file", mode: "0755" }]);
    expect(result.refused.map(({ path }) => path).sort()).toEqual(["link", "pipe"]);
    expect(await readdir(directory.join("out"))).toEqual(["file"]);
  });

  it("says which glob matched nothing", async () => {
    await using directory = await tempDirectory();
    const { status, result } = await runJson(["--artifact", "missing.xml", "--out", directory.join("out"), "--", "true"]);
    expect(status).toBe(0);
    expect(result.refused).toMatchObject([{ path: "missing.xml" }]);
  });
});
