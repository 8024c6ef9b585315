import { execFileSync } from "node:child_process";
import { chmod, cp, readdir, writeFile } from "node:fs/promises";
import { buffer } from "node:stream/consumers";
import { describe, expect, it } from "vitest";
import type { Collected } from "../../src/files/collect.ts";
import { packWorkspace } from "../../src/files/pack-workspace.ts";
import { scanWorkspace } from "../../src/files/scan-workspace.ts";
import { formatFileChange } from "../../src/files/unified-diff.ts";
import { fc } from "../lab/property.ts";
import { spentMs } from "../lab/spent-time.ts";
import { type TempDirectory, tempDirectory } from "../lab/temp-directory.ts";
import { collectFrom } from "./collecting.ts";
import { readTree, type Tree, writeTree } from "./trees.ts";

type Files = Readonly<Record<string, string | Buffer>>;
type Between = {
  readonly onHost?: (lab: TempDirectory) => Promise<void>;
  readonly inside?: (lab: TempDirectory) => Promise<void>;
  readonly notes?: Awaited<Parameters<typeof collectFrom>[1]["notes"]>;
};

/** Copies `before` in, lets it become `after`, collects, and applies the patch to a copy of `before` with both tools. */
async function roundTrip(
  before: Files,
  after: Files,
  { onHost, inside, notes }: Between = {},
): Promise<Collected & { readonly patched: Tree; readonly wanted: Tree }> {
  await using lab = await tempDirectory();
  const [host, inner, byPatch, byGit] = ["host", "inner", "by-patch", "by-git"].map((name) => lab.join(name));
  if (host === undefined || inner === undefined || byPatch === undefined || byGit === undefined) throw new Error("unreachable");
  await writeTree(lab.path, { host: "/", inner: "/" });
  await writeTree(host, before);
  await writeTree(inner, after);
  await Promise.all([cp(host, byPatch, { recursive: true }), cp(host, byGit, { recursive: true })]);
  const options = { exclude: [], withGit: false, maxBytes: 1e9, maxEntries: 10_000 };
  const workspace = await scanWorkspace(host, options);
  const digests = new Map<string, string>();
  await buffer(packWorkspace(workspace, { digests }));
  await onHost?.(lab);
  await inside?.(lab);
  const collected = await collectFrom(packWorkspace(await scanWorkspace(inner, { ...options, withGit: true })), {
    globs: [],
    baseline: { workspace, digests },
    notes: Promise.resolve(notes ?? []),
  });
  apply(collected.patch ?? "", { byPatch, byGit });
  const patched = await readTree(byPatch);
  expect(await readTree(byGit)).toEqual(patched);
  return { ...collected, patched, wanted: await readTree(inner) };
}

function apply(patch: string, { byPatch, byGit }: { readonly byPatch: string; readonly byGit: string }): void {
  if (patch === "") return;
  execFileSync("patch", ["-p1", "--force", "--fuzz=0", "--no-backup-if-mismatch"], { cwd: byPatch, input: patch });
  execFileSync("git", ["apply", "--whitespace=nowarn", "-"], {
    cwd: byGit,
    input: patch,
    env: { ...process.env, GIT_CEILING_DIRECTORIES: byGit },
  });
}

function filesOf(tree: Tree): Tree {
  return Object.fromEntries(Object.entries(tree).filter(([, value]) => value !== "/"));
}

describe("the patch of a run", () => {
  it("is empty when nothing changed", async () => {
    const { patch, refused } = await roundTrip({ a: "1", "d/b": "2", l: "-> a" }, { a: "1", "d/b": "2", l: "-> a" });
    expect({ patch, refused }).toEqual({ patch: "", refused: [] });
  });

  it("holds changed, new and deleted files as git writes them", async () => {
    const { patch, patched, wanted } = await roundTrip(
      { changed: "1\n2\n3\n4\n5\n", deleted: "bye\n", same: "x" },
      { changed: "1\n2\nthree\n4\n5\n", "new/file": "hi\n", same: "x" },
    );
    expect(patch).toBe(
      "diff --git a/deleted b/deleted\ndeleted file mode 100644\n--- a/deleted\n+++ /dev/null\n@@ -1,1 +0,0 @@\n-bye\n" +
        "diff --git a/changed b/changed\n--- a/changed\n+++ b/changed\n@@ -1,5 +1,5 @@\n 1\n 2\n-3\n+three\n 4\n 5\n" +
        "diff --git a/new/file b/new/file\nnew file mode 100644\n--- /dev/null\n+++ b/new/file\n@@ -0,0 +1,1 @@\n+hi\n",
    );
    expect(filesOf(patched)).toEqual(filesOf(wanted));
  });

  it("is right about lines without a line feed, carriage returns, empty files and a byte order mark", async () => {
    const before = { a: "x", b: "x\n", c: "1\r\n2\r\n", d: "", e: "full", f: "\ufeffone\n", g: "a\rb\rc\n" };
    const after = { a: "x\n", b: "x", c: "1\r\n2\n", d: "full", e: "", f: "\ufefftwo\n", g: "a\rB\rc\n", new: "", h: "\n" };
    const { patched, wanted } = await roundTrip(before, after);
    expect(patched).toEqual(wanted);
  });

  it("carries the executable bit", async () => {
    const { patched, wanted, patch } = await roundTrip(
      { a: "1\n", b: "1\n" },
      { a: "1\n", b: "2\n", c: "3\n" },
      { inside: (lab) => Promise.all(["a", "b", "c"].map((name) => chmod(lab.join("inner", name), 0o755))).then(() => undefined) },
    );
    expect(patch).toContain("old mode 100644\nnew mode 100755\n");
    expect(patched).toEqual(wanted);
  });

  it("quotes names with spaces, quotes and leading dashes so that both tools take them", async () => {
    const names = ["with space", ' lead"quote"', "-rf", "tab'less", "ü/日本 語", "a b/c d"];
    const { patched, wanted } = await roundTrip(
      Object.fromEntries(names.map((name) => [name, "1\n"])),
      Object.fromEntries([...names, "new file", "empty new"].map((name) => [name, name.startsWith("empty") ? "" : "2\n"])),
    );
    expect(patched).toEqual(wanted);
  });

  it("deletes a file whose name has control characters", async () => {
    const { patched } = await roundTrip({ "line\nfeed\ttab": "1\n", keep: "" }, { keep: "" });
    expect(patched).toEqual({ keep: "644 " });
  });

  it("lists binary and large files and links instead", async () => {
    const { patch, refused } = await roundTrip(
      { bin: Buffer.from([1, 0, 2]), old: "1", link: "-> a", gone: "-> b", latin: Buffer.from([0xe9]) },
      { bin: Buffer.from([1, 0, 3]), old: "1", link: "-> c", fresh: "-> d", latin: "e", large: Buffer.alloc(4 * 1024 * 1024 + 1, "x") },
    );
    expect(patch).toBe("");
    expect(refused).toEqual([
      { path: "bin", why: "not in the patch: binary" },
      { path: "large", why: "not in the patch: larger than 4194304 bytes" },
      { path: "latin", why: "not in the patch: binary" },
      { path: "fresh", why: "not in the patch: a symbolic link" },
      { path: "link", why: "not in the patch: a symbolic link" },
      { path: "gone", why: "not in the patch: a symbolic link that is gone" },
    ]);
  });

  it("leaves out a file that changed on the host during the run", async () => {
    const { patch, refused } = await roundTrip(
      { a: "1\n", b: "1\n" },
      { a: "2\n", b: "2\n" },
      { onHost: (lab) => writeFile(lab.join("host", "a"), "host\n") },
    );
    expect(refused).toEqual([{ path: "a", why: "not in the patch: changed on the host during the run" }]);
    expect(patch).toMatch(/^diff --git a\/b b\/b\n/);
  });

  it("does not take what could not be read inside for deleted", async () => {
    const { patch, refused } = await roundTrip({ "d/a": "1\n", b: "1\n" }, { b: "1\n" }, { notes: [{ path: "d", why: "EACCES" }] });
    expect(patch).toBe("");
    expect(refused).toEqual([{ path: "d", why: "it can't be read inside" }]);
  });

  it("does not hold new files that the workspace's own rules leave out, nor anything of .git", async () => {
    const { patch } = await roundTrip(
      { ".gitignore": "*.pyc\n" },
      { ".gitignore": "", "a.pyc": "x", "new.txt": "1\n", ".git/hooks/x": "#!", ".git/config": "y" },
    );
    expect(patch).toContain("b/.gitignore");
    expect(patch).toContain("b/new.txt");
    expect(patch).not.toMatch(/pyc b|\.git\//);
  });

  it("refuses names that no patch should carry", async () => {
    const { patch, refused } = await roundTrip({}, { "a\u001b[2J": "1\n", "b\nc": "1\n" });
    expect(patch).toBe("");
    expect(refused.map(({ path }) => path)).toEqual(["a<U+001B>[2J", "b<U+000A>c"]);
  });

  it("leaves nothing among the temporary files", async () => {
    const before = (await readdir("/tmp")).filter((name) => name.startsWith(".sandbox-partial-"));
    await roundTrip({ a: "1\n" }, { a: "2\n" });
    expect((await readdir("/tmp")).filter((name) => name.startsWith(".sandbox-partial-"))).toEqual(before);
  });

  it("makes of any small tree any other", async () => {
    const name = fc.constantFrom("a", "b c", "d/e", "d/f g", "ü", 'q"', "h/i/j");
    const line = fc.constantFrom("", "x", "y", "z w", "\r", "-- a", "++ b", "\\ No newline at end of file", "@@ -1 +1 @@");
    const text = fc.tuple(fc.array(line, { maxLength: 12 }), fc.boolean()).map(([lines, ended]) => lines.join("\n") + (ended ? "\n" : ""));
    const tree = fc.dictionary(name, text, { maxKeys: 5, noNullPrototype: true });
    await fc.assert(
      fc.asyncProperty(tree, tree, async (before, after) => {
        const { patched, wanted, refused } = await roundTrip(before, after);
        expect(refused).toEqual([]);
        expect(filesOf(patched)).toEqual(filesOf(wanted));
      }),
      { numRuns: 60 },
    );
  }, 120_000);
});

describe("formatFileChange", () => {
  it("replaces all lines of files that take too long to compare, and that still applies", async () => {
    await using lab = await tempDirectory();
    const lines = (seed: number) => Array.from({ length: 20_000 }, (_, index) => `${(index * seed) % 19_997}\n`).join("");
    const [old, now] = [lines(7919), `${lines(104_729)}no line feed`];
    const start = process.cpuUsage();
    const patch = formatFileChange({
      path: "f",
      old: { text: old, isExecutable: false },
      now: { text: now, isExecutable: false },
      deadline: performance.now() + 1,
    });
    expect(spentMs(start)).toBeLessThan(3000);
    expect(patch).toContain("@@ -1,20000 +1,20001 @@");
    await writeFile(lab.join("f"), old);
    execFileSync("patch", ["-p1", "--force"], { cwd: lab.path, input: patch });
    expect(await readTree(lab.path)).toEqual({ f: `644 ${now}` });
  });
});
