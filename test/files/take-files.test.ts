import { Readable } from "node:stream";
import { describe, expect, it } from "vitest";
import { listFiles, type Source, takeFile } from "../../src/files/take-files.ts";
import { archive, directory, file, symlink } from "./tar-bytes.ts";

const signal = AbortSignal.timeout(60_000);
const limits = { maxBytes: 1_000_000, maxEntries: 100 };

function source(bytes: Buffer, notes: readonly { readonly path: string; readonly why: string }[] = []): Source {
  return { output: Readable.from([bytes]), done: Promise.resolve(notes) };
}

describe("reading one file out of a hostile sandbox", () => {
  const read = (bytes: Buffer, path = "a") => takeFile(source(bytes), { path, maxBytes: 100, signal });

  it("gives the bytes of the file that was asked for", async () => {
    expect(String(await read(archive(file("a", "hello"))))).toBe("hello");
    expect(await read(archive(file("a", "")))).toHaveLength(0);
  });

  it.each([
    ["another file in its place", archive(file("b", "x")), 'the guest sent "b" in its place'],
    ["a name that leads out in its place", archive(file("../a", "x")), 'the guest sent "../a" in its place'],
    ["a link", archive(symlink("a", "/etc/shadow")), "it is a symbolic link"],
    ["a directory", archive(directory("a"), file("a/b")), "it is a directory"],
    ["more than was asked for", archive(file("a", Buffer.alloc(101))), "it has 101 bytes, more than the 100"],
    ["half an archive", archive(file("a", Buffer.alloc(90))).subarray(0, 550), "it ends early"],
    ["something else", Buffer.alloc(2048, "x"), "a header is not a ustar header"],
  ])("refuses %s", async (_name, bytes, why) => {
    await expect(read(bytes)).rejects.toMatchObject({ code: "COLLECT_FAILED", message: expect.stringContaining(why) });
  });

  it("tells what is not there from what can't be read", async () => {
    const end = archive();
    const noted = (why: string) => takeFile(source(end, [{ path: "a", why }]), { path: "a", maxBytes: 100, signal });
    await expect(noted("ENOENT")).rejects.toMatchObject({ code: "NO_SUCH_FILE" });
    await expect(noted("EACCES")).rejects.toMatchObject({ code: "COLLECT_FAILED" });
  });

  it("is given up when the guest says nothing any more", async () => {
    const silent: Source = { output: new Readable({ read: () => undefined }), done: new Promise(() => undefined) };
    const over = new AbortController();
    const reading = takeFile(silent, { path: "a", maxBytes: 100, signal: over.signal });
    over.abort();
    await expect(reading).rejects.toMatchObject({ code: "COLLECT_FAILED" });
    expect(silent.output.destroyed).toBe(true);
  });
});

describe("listing a directory of a hostile sandbox", () => {
  const tree = archive(directory("."), file("a", "12"), directory("d"), file("d/b", "x", { mode: 0o755 }), symlink("l", "/etc"));

  it("tells what lies directly there, or all of it", async () => {
    const direct = await listFiles(source(tree), { path: ".", recursive: false, limits, signal });
    expect(direct).toEqual({
      entries: [
        { path: "a", kind: "file", bytes: 2, mode: 0o644 },
        { path: "d", kind: "directory", bytes: 0, mode: 0o755 },
        { path: "l", kind: "symlink", bytes: 0, mode: 0o777 },
      ],
      refused: [],
    });
    const all = await listFiles(source(tree), { path: ".", recursive: true, limits, signal });
    expect(all.entries.map(({ path }) => path)).toEqual(["a", "d", "d/b", "l"]);
  });

  it("lists names that could deceive as refused, and says nothing else about them", async () => {
    const bytes = archive(file("../../etc/passwd"), file("/abs"), file("e\u001b[31m"), file("x"), file("x"), file("X"), file("ok"));
    const { entries, refused } = await listFiles(source(bytes), { path: ".", recursive: true, limits, signal });
    expect(entries.map(({ path }) => path)).toEqual(["x", "ok"]);
    expect(refused.map(({ path }) => path)).toEqual(["../../etc/passwd", "/abs", "e<U+001B>[31m", "x", "X"]);
  });

  it("ends at the limits", async () => {
    const many = archive(...Array.from({ length: 101 }, (_, index) => file(`f${index}`, "")));
    await expect(listFiles(source(many), { path: ".", recursive: true, limits, signal })).rejects.toMatchObject({ code: "COLLECT_FAILED" });
  });
});
