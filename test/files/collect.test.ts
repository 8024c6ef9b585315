import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdir, readdir, rm, stat } from "node:fs/promises";
import { PassThrough, Readable } from "node:stream";
import { describe, expect, it } from "vitest";
import { packWorkspace } from "../../src/files/pack-workspace.ts";
import { scanWorkspace } from "../../src/files/scan-workspace.ts";
import { tempDirectory } from "../lab/temp-directory.ts";
import { collectFrom } from "./collecting.ts";
import { archive, directory, file, paxFile, symlink } from "./tar-bytes.ts";
import { readTree, writeTree } from "./trees.ts";

const bytes = archive(
  directory("out"),
  file("out/a.csv", "1,2\n"),
  file("out/run.sh", "#!", { mode: 0o700 }),
  directory("out/empty"),
  file("src/x.c", "int"),
  file("top.txt", "t"),
);

describe("collect", () => {
  it("lets the files that the globs name appear, with size, digest and plain modes", async () => {
    await using lab = await tempDirectory();
    const { artifacts, refused, patch, cut } = await collectFrom(bytes, { globs: ["out", "*.txt"], out: lab.join("results") });
    expect(await readTree(lab.path)).toEqual({
      results: "/",
      "results/out": "/",
      "results/out/a.csv": "644 1,2\n",
      "results/out/empty": "/",
      "results/out/run.sh": "755 #!",
      "results/top.txt": "644 t",
    });
    expect(artifacts).toEqual([
      { path: "out/a.csv", bytes: 4, sha256: createHash("sha256").update("1,2\n").digest("hex"), mode: "0644" },
      { path: "out/run.sh", bytes: 2, sha256: createHash("sha256").update("#!").digest("hex"), mode: "0755" },
      { path: "top.txt", bytes: 1, sha256: createHash("sha256").update("t").digest("hex"), mode: "0644" },
    ]);
    expect({ refused, patch, cut }).toEqual({ refused: [], patch: undefined, cut: undefined });
    expect((await stat(lab.join("results"))).mode & 0o777).toBe(0o755);
  });

  it("takes names with ./ in front, as some writers put it, and the top itself", async () => {
    await using lab = await tempDirectory();
    const { artifacts, refused } = await collectFrom(archive(directory("."), directory("./d"), file("./d/x", "1")), {
      globs: ["d"],
      out: lab.join("r"),
    });
    expect(artifacts.map(({ path }) => path)).toEqual(["d/x"]);
    expect(refused).toEqual([]);
  });

  it("fills a directory that was empty", async () => {
    await using lab = await tempDirectory();
    await mkdir(lab.join("r"));
    await collectFrom(bytes, { globs: ["top.txt"], out: lab.join("r") });
    expect(await readdir(lab.join("r"))).toEqual(["top.txt"]);
  });

  it("makes no directory when nothing matched, and says which globs that were", async () => {
    await using lab = await tempDirectory();
    const { refused } = await collectFrom(bytes, { globs: ["*.pdf", "nope/x"], out: lab.join("r") });
    expect(refused).toEqual([
      { path: "*.pdf", why: "nothing matched" },
      { path: "nope/x", why: "nothing matched" },
    ]);
    expect(await readdir(lab.path)).toEqual([]);
  });

  it("lists what could not be read inside, where it was asked for", async () => {
    await using lab = await tempDirectory();
    const notes = Promise.resolve([
      { path: "report.pdf", why: "ENOENT" },
      { path: "out/secret", why: "EACCES" },
      { path: "unrelated", why: "EACCES" },
      { path: "out/x\u001b", why: "errno 99" },
    ]);
    const { refused } = await collectFrom(bytes, { globs: ["report.pdf", "out"], notes, out: lab.join("r") });
    expect(refused).toEqual([
      { path: "report.pdf", why: "there is no such file" },
      { path: "out/secret", why: "it can't be read inside" },
      { path: "out/x<U+001B>", why: "errno 99" },
    ]);
  });

  it("lists a link once where it is asked for, and not where it is not", async () => {
    await using lab = await tempDirectory();
    const { refused } = await collectFrom(archive(symlink("out/l", "/etc"), symlink("other", "/etc"), file("out/f")), {
      globs: ["out/**"],
      out: lab.join("r"),
    });
    expect(refused).toEqual([{ path: "out/l", why: "a symbolic link" }]);
  });

  it("keeps what came whole when the archive breaks off, does not wait for notes, and makes no patch", async () => {
    await using lab = await tempDirectory();
    const source = new PassThrough();
    source.write(Buffer.concat([file("a", "whole"), file("b", "x".repeat(2000)).subarray(0, 1000)]));
    const collecting = collectFrom(source, {
      out: lab.join("r"),
      notes: new Promise(() => undefined),
      baseline: { workspace: undefined, digests: new Map() },
    });
    source.destroy(new Error("the pipe is gone"));
    const { artifacts, refused, patch, cut } = await collecting;
    expect(cut).toMatch(/^the archive from inside broke off: .*the pipe is gone/);
    expect(artifacts.map(({ path }) => path).filter((path) => path !== "a")).toEqual([]);
    expect(refused.at(-1)?.path).toBe(".");
    expect(patch).toBeUndefined();
  });

  it("leaves nothing when its disk is full", async () => {
    await using lab = await tempDirectory();
    const big = archive(file("a", "small"), file("b", Buffer.alloc(100_000)));
    execFileSync("prlimit", ["--pid", String(process.pid), "--fsize=8192:unlimited"]);
    try {
      await expect(collectFrom(big, { out: lab.join("r") })).rejects.toMatchObject({
        code: "COLLECT_FAILED",
        message: expect.stringMatching(/can't be written to ".*r" \(EFBIG\); nothing was left there/),
      });
    } finally {
      execFileSync("prlimit", ["--pid", String(process.pid), "--fsize=unlimited"]);
    }
    expect(await readdir(lab.path)).toEqual([]);
  });

  it("says so when the place for results is gone", async () => {
    await using lab = await tempDirectory();
    const source = Readable.from([bytes], { objectMode: false });
    await expect(collectFrom(source, { out: lab.join("gone", "r") })).rejects.toMatchObject({
      code: "COLLECT_FAILED",
      message: expect.stringContaining("ENOENT"),
    });
    expect(source.destroyed).toBe(true);
  });

  it("refuses a bad glob before it reads anything", async () => {
    await expect(collectFrom(bytes, { globs: ["/etc"] })).rejects.toMatchObject({ code: "BAD_GLOB" });
  });

  it("brings a tree that went in out again", async () => {
    await using lab = await tempDirectory();
    await writeTree(lab.join("in"), {
      "a b/ü.txt": "1",
      "-x": "2",
      big: Buffer.alloc(3_000_000, "z"),
      [`${"d/".repeat(60)}f`]: "3",
      "e/mpty": "/",
    });
    const workspace = await scanWorkspace(lab.join("in"), { exclude: [], withGit: false, maxBytes: 1e9, maxEntries: 1000 });
    const { refused } = await collectFrom(packWorkspace(workspace), { out: lab.join("out") });
    expect(refused).toEqual([]);
    expect(await readTree(lab.join("out"))).toEqual(await readTree(lab.join("in")));
    await rm(lab.join("in"), { recursive: true });
  });

  it("takes thousands of small files with little work", async () => {
    await using lab = await tempDirectory();
    const many = archive(...Array.from({ length: 3000 }, (_, index) => paxFile(`d${index % 50}/f${index}`, "content ".repeat(100))));
    const before = process.cpuUsage();
    const { artifacts } = await collectFrom(many, { out: lab.join("r") });
    expect(artifacts).toHaveLength(3000);
    expect(process.cpuUsage(before).user).toBeLessThan(3_000_000);
  });
});
