import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { appendFile, chmod, mkdir, rm, symlink, truncate, utimes, writeFile } from "node:fs/promises";
import type { Readable } from "node:stream";
import { buffer } from "node:stream/consumers";
import { describe, expect, it } from "vitest";
import { packWorkspace } from "../../src/files/pack-workspace.ts";
import { scanWorkspace } from "../../src/files/scan-workspace.ts";
import { fc } from "../lab/property.ts";
import { tempDirectory } from "../lab/temp-directory.ts";
import { readTree, writeTree } from "./trees.ts";

function scan(directory: string) {
  return scanWorkspace(directory, { exclude: [], withGit: true, maxBytes: 1024 ** 3, maxEntries: 10_000 });
}

/** Has the system's tar unpack the stream, and answers the tree that comes of it. */
async function unpack(stream: Readable) {
  await using directory = await tempDirectory();
  execFileSync("tar", ["-xp", "-C", directory.path], { input: await buffer(stream) });
  return await readTree(directory.path);
}

describe("packWorkspace", () => {
  it("makes an archive that tar unpacks to the same tree", async () => {
    await using directory = await tempDirectory();
    await writeTree(directory.path, {
      "a.txt": "text",
      empty: "",
      "d/e/f": "deep",
      "d/empty": "/",
      link: "-> d/e",
      "größe/日本.txt": "ü",
      "line\nfeed": "x",
      [`${"long/".repeat(30)}${"n".repeat(200)}`]: "far",
      longlink: `-> ${"t/".repeat(120)}`,
      ["exactly-100".padEnd(100, "x")]: "1",
      ["exactly-101".padEnd(101, "x")]: "2",
      big: Buffer.alloc(300_000, "big"),
    });
    await chmod(directory.join("a.txt"), 0o750);
    await chmod(directory.join("empty"), 0o4444);
    const workspace = await scan(directory.path);
    expect(await unpack(packWorkspace(workspace))).toEqual({ ...(await readTree(directory.path)), empty: "444 " });
  });

  it("gives owner 0, times in whole seconds, and the same bytes every time", async () => {
    await using directory = await tempDirectory();
    await writeTree(directory.path, { b: "1", a: "2", "c/d": "3" });
    await utimes(directory.join("a"), 1_600_000_000, 1_600_000_000.75);
    const bytes = await buffer(packWorkspace(await scan(directory.path)));
    expect(await buffer(packWorkspace(await scan(directory.path)))).toEqual(bytes);
    const listed = execFileSync("tar", ["-tv", "--numeric-owner", "--utc", "--full-time"], { input: bytes, encoding: "utf8" });
    expect(listed.split("\n")[0]).toMatch(/^-rw-r--r-- 0\/0 +1 2020-09-13 12:26:40 a$/);
  });

  it("makes directories open to their owner", async () => {
    await using directory = await tempDirectory();
    await mkdir(directory.join("closed"));
    await writeFile(directory.join("closed", "x"), "1");
    await chmod(directory.join("closed"), 0o555);
    const listed = execFileSync("tar", ["-tv"], { input: await buffer(packWorkspace(await scan(directory.path))), encoding: "utf8" });
    expect(listed).toMatch(/^drwxr-xr-x .* closed\/$/m);
  });

  it.each([1000, 200_000])("keeps the stream in step when files of %i bytes change under it", async (size) => {
    await using directory = await tempDirectory();
    const content = "0123456789".repeat(size / 10);
    await writeTree(directory.path, { a_grows: content, b_shrinks: content, c_goes: content, d_turns: content, e_stays: "after" });
    const workspace = await scan(directory.path);
    await appendFile(directory.join("a_grows"), "more");
    await truncate(directory.join("b_shrinks"), 10);
    await rm(directory.join("c_goes"));
    await rm(directory.join("d_turns"));
    await symlink("/etc/passwd", directory.join("d_turns"));
    const changed: { readonly path: string; readonly why: string }[] = [];
    const tree = await unpack(packWorkspace(workspace, { changed }));
    expect(tree).toEqual({ a_grows: `644 ${content}`, b_shrinks: `644 0123456789${"\0".repeat(size - 10)}`, e_stays: "644 after" });
    expect(changed.map(({ path, why }) => `${path}: ${why}`)).toEqual([
      "a_grows: it grew while it was copied: cut at its old size",
      "b_shrinks: it shrank while it was copied: filled up with zeros",
      "c_goes: it can't be opened any more (ENOENT)",
      "d_turns: it can't be opened any more (ELOOP)",
    ]);
  });

  it("records the digest of each file as it was sent", async () => {
    await using directory = await tempDirectory();
    const big = Buffer.alloc(300_000, "abc");
    await writeTree(directory.path, { small: "one", big });
    const digests = new Map<string, string>();
    await buffer(packWorkspace(await scan(directory.path), { digests }));
    expect(Object.fromEntries(digests)).toEqual({
      small: createHash("sha256").update("one").digest("hex"),
      big: createHash("sha256").update(big).digest("hex"),
    });
  });

  it("reads nothing more when it is destroyed", async () => {
    await using directory = await tempDirectory();
    await writeTree(directory.path, { big: Buffer.alloc(5_000_000) });
    const stream = packWorkspace(await scan(directory.path));
    for await (const chunk of stream) {
      expect(chunk).toHaveLength(512);
      break;
    }
    expect(stream.destroyed).toBe(true);
  });

  it("packs any small tree so that tar unpacks it again", async () => {
    const name = fc.string({ unit: fc.constantFrom("a", "é", " ", "-", "x".repeat(40), "'"), minLength: 1, maxLength: 5 });
    const files = fc.dictionary(
      fc.tuple(name, name).map(([a, b]) => `d${a}/f${b}`),
      fc.string({ unit: "grapheme", maxLength: 600 }),
      { maxKeys: 6, noNullPrototype: true },
    );
    await fc.assert(
      fc.asyncProperty(files, async (tree) => {
        await using directory = await tempDirectory();
        await writeTree(directory.path, tree);
        expect(await unpack(packWorkspace(await scan(directory.path)))).toEqual(await readTree(directory.path));
      }),
      { numRuns: 40 },
    );
  });
});
