import { execFileSync } from "node:child_process";
import { chmod, mkdir, readdir, readFile, stat, symlink, writeFile } from "node:fs/promises";
import { describe, expect, it } from "vitest";
import { assertOutDirectory, assertWritableFile } from "../../src/files/outputs.ts";
import { writeWhole } from "../../src/files/write-whole.ts";
import { tempDirectory } from "../lab/temp-directory.ts";

describe("assertOutDirectory", () => {
  it("makes the directories above, and neither the directory nor anything else", async () => {
    await using directory = await tempDirectory();
    expect(await assertOutDirectory(directory.join("a", "b", "out"))).toBe(directory.join("a", "b", "out"));
    expect(await readdir(directory.join("a", "b"))).toEqual([]);
  });

  it("takes an empty directory", async () => {
    await using directory = await tempDirectory();
    await expect(assertOutDirectory(directory.path)).resolves.toBe(directory.path);
  });

  it.each(["a file", "a directory that is not empty", "a link"])("refuses %s", async (what) => {
    await using directory = await tempDirectory();
    await mkdir(directory.join("full", "x"), { recursive: true });
    await writeFile(directory.join("file"), "");
    await symlink("nowhere", directory.join("link"));
    const path = { "a file": "file", "a link": "link" }[what] ?? "full";
    await expect(assertOutDirectory(directory.join(path))).rejects.toMatchObject({
      code: "OUT_UNWRITABLE",
      message: expect.stringContaining(directory.join(path)),
    });
  });

  it.each(["/proc/nothing/out", "/dev/null/out"])("refuses %s, where nothing can be made", async (path) => {
    await expect(assertOutDirectory(path)).rejects.toMatchObject({ code: "OUT_UNWRITABLE", message: expect.stringContaining(path) });
  });
});

describe("assertWritableFile", () => {
  it("takes a new file, an old one and a device", async () => {
    await using directory = await tempDirectory();
    await writeFile(directory.join("old"), "");
    for (const path of [directory.join("new"), directory.join("old"), "/dev/null"])
      await expect(assertWritableFile(path)).resolves.toBeUndefined();
  });

  it("makes no directory: it names the one that is missing", async () => {
    await using directory = await tempDirectory();
    const path = directory.join("reprots", "fix.patch");
    await expect(assertWritableFile(path)).rejects.toMatchObject({
      code: "OUT_UNWRITABLE",
      message: `The directory "${directory.join("reprots")}" for "${path}" does not exist.`,
    });
    expect(await readdir(directory.path)).toEqual([]);
  });

  it("refuses a directory, with the code it was given", async () => {
    await using directory = await tempDirectory();
    await expect(assertWritableFile(directory.path, "RESULT_UNWRITABLE")).rejects.toMatchObject({ code: "RESULT_UNWRITABLE" });
  });
});

describe("writeWhole", () => {
  it("writes and replaces a file and leaves nothing beside it", async () => {
    await using directory = await tempDirectory();
    await writeWhole(directory.join("f"), "one");
    await writeWhole(directory.join("f"), Buffer.from("two"));
    expect(await readFile(directory.join("f"), "utf8")).toBe("two");
    expect(await readdir(directory.path)).toEqual(["f"]);
  });

  it("writes through a link and into a device instead of replacing them", async () => {
    await using directory = await tempDirectory();
    await mkdir(directory.join("d"));
    await writeFile(directory.join("d", "real"), "old");
    await symlink("d/real", directory.join("link"));
    await writeWhole(directory.join("link"), "new");
    expect(await readFile(directory.join("d", "real"), "utf8")).toBe("new");
    await writeWhole("/dev/null", "gone");
    expect((await stat("/dev/null")).isCharacterDevice()).toBe(true);
  });

  it("keeps the old content when the new does not fit, and leaves no part of it", async () => {
    await using directory = await tempDirectory();
    await writeFile(directory.join("f"), "old");
    await withFileSizeLimit(4096, () =>
      expect(writeWhole(directory.join("f"), "x".repeat(10_000))).rejects.toMatchObject({
        code: "RESULT_UNWRITABLE",
        message: expect.stringContaining("EFBIG"),
      }),
    );
    expect(await readFile(directory.join("f"), "utf8")).toBe("old");
    expect(await readdir(directory.path)).toEqual(["f"]);
  });

  it("says so when the place is gone", async () => {
    await using directory = await tempDirectory();
    await chmod(directory.path, 0o755);
    await expect(writeWhole(directory.join("none", "f"), "x", "OUT_UNWRITABLE")).rejects.toMatchObject({
      code: "OUT_UNWRITABLE",
      message: expect.stringContaining("ENOENT"),
    });
  });
});

/** Lets files of this process grow to a limit only, as on a full disk. */
async function withFileSizeLimit(bytes: number, act: () => Promise<void>): Promise<void> {
  const set = (limit: string) => execFileSync("prlimit", ["--pid", String(process.pid), `--fsize=${limit}:unlimited`]);
  set(String(bytes));
  try {
    await act();
  } finally {
    set("unlimited");
  }
}
