import { execFileSync } from "node:child_process";
import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { Readable } from "node:stream";
import { setImmediate } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { collectFrom } from "../files/collecting.ts";
import { archive, directory, END, file, header, pax, paxFile, symlink } from "../files/tar-bytes.ts";
import { readTree, writeTree } from "../files/trees.ts";
import { tempDirectory } from "../lab/temp-directory.ts";

/** Collects a hostile archive into a directory in the middle of a tree, and shows what became of the tree around it. */
async function attack(bytes: Buffer | Iterable<Buffer> | Readable, options: Parameters<typeof collectFrom>[1] = {}) {
  await using lab = await tempDirectory();
  await writeTree(lab.path, { "victim/keep.txt": "safe", "home/.ssh": "/" });
  const before = await readTree(lab.path);
  const collected = await collectFrom(bytes, { out: lab.join("home", "out"), ...options });
  const out = await readTree(lab.join("home", "out")).catch(() => ({}));
  await rm(lab.join("home", "out"), { recursive: true, force: true });
  expect(await readTree(lab.path)).toEqual(before);
  return { ...collected, out };
}

/** The same archive given to a tool that trusts it. Answers the tree around the directory it was told to extract into. */
async function extractNaively(bytes: Buffer) {
  await using lab = await tempDirectory();
  await writeTree(lab.path, { "victim/keep.txt": "safe", "home/out": "/" });
  await writeFile(lab.join("a.tar"), bytes);
  try {
    execFileSync("tar", ["-xPf", lab.join("a.tar"), "-C", lab.join("home", "out")], { stdio: "ignore" });
  } catch {
    // What it did before it gave up counts.
  }
  await rm(lab.join("a.tar"));
  return await readTree(lab.path);
}

const good = file("good.txt", "good");
const GOOD = { "good.txt": "644 good" };

describe("names that lead elsewhere", () => {
  it("refuses a name with .., which a trusting extraction writes outside", async () => {
    const bytes = archive(good, file("../../victim/keep.txt", "owned"));
    expect(await extractNaively(bytes)).toMatchObject({ "victim/keep.txt": "644 owned" });
    const { out, refused } = await attack(bytes);
    expect(out).toEqual(GOOD);
    expect(refused).toEqual([{ path: "../../victim/keep.txt", why: "the name leads out of the directory with .." }]);
  });

  it("refuses an absolute name, which a trusting extraction writes where it says", async () => {
    await using elsewhere = await tempDirectory();
    const target = elsewhere.join("owned");
    const bytes = archive(good, paxFile(target, "owned"));
    await extractNaively(bytes);
    expect(await readFile(target, "utf8")).toBe("owned");
    await rm(target);
    const { out, refused } = await attack(bytes);
    expect(out).toEqual(GOOD);
    expect(refused).toEqual([{ path: target, why: "the name is absolute" }]);
    expect(await readdir(elsewhere.path)).toEqual([]);
  });

  it("refuses a link and the file behind it, which a trusting extraction writes through the link", async () => {
    const bytes = archive(good, symlink("d", "../../victim"), file("d/keep.txt", "owned"));
    expect(await extractNaively(bytes)).toMatchObject({ "victim/keep.txt": "644 owned" });
    const { out, refused } = await attack(bytes);
    expect(out).toEqual(GOOD);
    expect(refused).toEqual([
      { path: "d", why: "a symbolic link" },
      { path: "d/keep.txt", why: '"d" above it is not a directory' },
    ]);
  });

  it("refuses the file behind a link also when only the file was asked for", async () => {
    const { out, refused } = await attack(archive(symlink("d", "../../victim"), file("d/keep.txt", "owned")), { globs: ["d/*.txt"] });
    expect(out).toEqual({});
    expect(refused).toEqual([{ path: "d/keep.txt", why: '"d" above it is not a directory' }]);
  });

  it("refuses chains and loops of links", async () => {
    const bytes = archive(
      symlink("a", "b"),
      symlink("b", "a"),
      symlink("c", "a/.."),
      file("c/x", "owned"),
      symlink("self", "."),
      file("self/self/x"),
      good,
    );
    const { out, refused } = await attack(bytes);
    expect(out).toEqual(GOOD);
    expect(refused.map(({ path }) => path)).toEqual(["a", "b", "c", "c/x", "self", "self/self/x"]);
  });

  it("ends at a hard link, which is not in the agreed format and with a trusting extraction shares the victim's file", async () => {
    const bytes = archive(good, header({ name: "h", type: "1", target: "../../victim/keep.txt" }), file("h", "owned"), file("late"));
    const link = archive(header({ name: "h", type: "1", target: "../../victim/keep.txt" }));
    expect(await extractNaively(link)).toMatchObject({ "home/out/h": "644 safe" });
    const { out, cut, refused } = await attack(bytes);
    expect(out).toEqual(GOOD);
    expect(cut).toContain('an entry has the type "1" (at byte 1024');
    expect(refused).toEqual([{ path: ".", why: expect.stringContaining("what else there was is not taken") }]);
  });

  it("writes a name like an option as the file that it is", async () => {
    const { out } = await attack(archive(file("-rf", "x"), file("--help/-v", "y")));
    expect(out).toEqual({ "-rf": "644 x", "--help": "/", "--help/-v": "644 y" });
  });
});

describe("things that are not files", () => {
  it("refuses devices and named pipes, and takes the files around them", async () => {
    const { out, refused } = await attack(
      archive(header({ name: "null", type: "3" }), header({ name: "disk", type: "4" }), header({ name: "pipe", type: "6" }), good),
    );
    expect(out).toEqual(GOOD);
    expect(refused).toEqual([
      { path: "null", why: "a device" },
      { path: "disk", why: "a device" },
      { path: "pipe", why: "a named pipe" },
    ]);
  });

  it("takes setuid, setgid, sticky and world-writable off, which a trusting extraction leaves on", async () => {
    const bytes = archive(file("sh", "x", { mode: 0o6777 }), file("data", "x", { mode: 0o1666 }), directory("d", { mode: 0o3777 }));
    expect((await extractNaively(bytes))["home/out/sh"]).toBe("6777 x");
    const { out, artifacts } = await attack(bytes);
    expect(out).toEqual({ sh: "755 x", data: "644 x", d: "/" });
    expect(artifacts.map(({ path, mode }) => `${path} ${mode}`)).toEqual(["sh 0755", "data 0644"]);
  });

  it.each(["7", "S", "L", "K", "g", "\0", "V", "D", "X"])("ends at an entry of type %j", async (type) => {
    const { out, cut } = await attack(archive(good, header({ name: "x", type, size: 512 }), Buffer.alloc(512, "a"), file("late")));
    expect(out).toEqual(GOOD);
    expect(cut).toContain(`an entry has the type ${JSON.stringify(type)}`);
  });
});

describe("sizes", () => {
  it.each([
    ["negative in base 256", base256(0xff, 0xf0)],
    ["above 2^53 in base 256", base256(0x80, 0x40, 0, 0, 0, 0, 0, 0)],
    ["negative in text", Buffer.from("-0000000001\0")],
    ["hexadecimal", Buffer.from("0x0000000ff\0")],
    ["empty", Buffer.alloc(12)],
    ["broken off by a NUL", Buffer.from("00\x0000000777\0")],
  ])("ends at a size that is %s", async (_, sizeField) => {
    const { out, cut } = await attack(archive(good, header({ name: "x", sizeField }), Buffer.alloc(512), file("late")));
    expect(out).toEqual(GOOD);
    expect(cut).toContain("a size is not a number");
  });

  it("reads a base-256 size that is in bounds like any other", async () => {
    const { out } = await attack(
      archive(header({ name: "x", sizeField: base256(0x80, 3) }), Buffer.concat([Buffer.from("abc"), Buffer.alloc(509)]), good),
    );
    expect(out).toEqual({ ...GOOD, x: "644 abc" });
  });

  it("ends at a file of terabytes before it takes any of them", async () => {
    const { out, cut } = await attack(
      archive(good, header({ name: "huge", sizeField: base256(0x80, 0x40, 0, 0, 0, 0, 0) }), Buffer.alloc(512)),
    );
    expect(out).toEqual(GOOD);
    expect(cut).toContain('"huge" announces 70368744177664 bytes, and more than 67108864 in all are not taken');
  });

  it("counts all files together", async () => {
    const half = file("a", Buffer.alloc(600));
    const { out, cut } = await attack(archive(half, file("b", Buffer.alloc(600))), { limits: { maxBytes: 1000, maxEntries: 10 } });
    expect(Object.keys(out)).toEqual(["a"]);
    expect(cut).toContain('"b" announces 600 bytes');
  });

  it.each(["2", "3", "5", "6"])("ends at an entry of type %s that has content", async (type) => {
    const { cut } = await attack(archive(header({ name: "x", type, size: 512 }), file("hidden", "owned")));
    expect(cut).toContain("something that is not a file has content");
  });
});

describe("pax headers", () => {
  it.each([
    "size=9",
    "GNU.sparse.realsize=99999999999",
    "GNU.sparse.major=1",
    "mtime=1",
    "uid=0",
    "SCHILY.xattr.security.capability=x",
    "__proto__=x",
    "hdrcharset=BINARY",
  ])("ends at the record %s", async (record) => {
    const { out, cut } = await attack(archive(good, pax([record]), file("x"), file("late")));
    expect(out).toEqual(GOOD);
    expect(cut).toContain(`a pax header has the record "${record.split("=")[0] ?? ""}"`);
  });

  it("ends at a path record with a NUL", async () => {
    const { out, cut } = await attack(archive(good, pax(["path=a\0/../../victim/keep.txt"]), file("x"), file("late")));
    expect(out).toEqual(GOOD);
    expect(cut).toContain("a pax header is malformed");
  });

  it("judges a path record like any other name", async () => {
    const { out, refused } = await attack(archive(paxFile("../../victim/keep.txt", "owned"), good));
    expect(out).toEqual(GOOD);
    expect(refused).toEqual([{ path: "../../victim/keep.txt", why: "the name leads out of the directory with .." }]);
  });

  it.each([
    ["a length that is too short", "5 path=a\n"],
    ["a length that is too long", "99 path=a\n"],
    ["no length", "path=a\n"],
    ["a length of zero", "0 path=a\n"],
    ["a length with a sign", "+9 path=a\n"],
    ["no line feed", "9 path=ab"],
    ["two paths", "9 path=a\n9 path=b\n"],
    ["no value", "8 path=\n"],
  ])("ends at a record with %s", async (_, records) => {
    const { out, cut } = await attack(archive(good, pax(Buffer.from(records)), file("x"), file("late")));
    expect(out).toEqual(GOOD);
    expect(cut).toMatch(/a pax header (is malformed|has an empty record)/);
  });

  it("ends at a header of more than 8 KiB without waiting for it", async () => {
    const { out, cut } = await attack(Buffer.concat([good, header({ name: "PaxHeader", type: "x", size: 8193 })]));
    expect(out).toEqual(GOOD);
    expect(cut).toContain("a pax header has 8193 bytes");
  });

  it("ends at a chain of headers, and at one that nothing follows", async () => {
    expect((await attack(archive(good, pax(["path=a"]), pax(["path=b"]), file("x")))).cut).toContain("a pax header follows a pax header");
    expect((await attack(archive(good, pax(["path=a"])))).cut).toContain("it ends behind a pax header");
  });

  it("ends at the first of endless long-name headers", async () => {
    const long = Buffer.concat([header({ name: "././@LongLink", type: "L", size: 512 }), Buffer.alloc(512, "a")]);
    const { cut } = await attack(Readable.from(endless(long), { objectMode: false }));
    expect(cut).toContain('an entry has the type "L" (at byte 0');
  });
});

describe("names that mislead", () => {
  it.each([
    ["a line feed", "a\nb", "a<U+000A>b"],
    ["an escape sequence", "a\u001b]0;x\u0007", "a<U+001B>]0;x<U+0007>"],
    ["a C1 control", "a\u009b31m", "a<U+009B>31m"],
    ["right-to-left override", "txt.\u202efdp", "txt.<U+202E>fdp"],
    ["a zero-width space", "a\u200bb", "a<U+200B>b"],
    ["tag characters", "a\u{e0041}", "a<U+E0041>"],
    ["a backslash", "..\\..\\x", "..\\..\\x"],
  ])("refuses a name with %s, and lists it in a form that shows it", async (_, name, shown) => {
    const { out, refused } = await attack(archive(paxFile(name), good));
    expect(out).toEqual(GOOD);
    expect(refused).toEqual([{ path: shown, why: expect.stringMatching(/control or invisible|backslash/) }]);
  });

  it("refuses a name that is not UTF-8", async () => {
    const { out, refused } = await attack(archive(file(Buffer.from([0x61, 0xff, 0x62])), good));
    expect(out).toEqual(GOOD);
    expect(refused).toEqual([{ path: "a\ufffdb", why: "the name is not UTF-8" }]);
  });

  it("refuses the second of two files of one name", async () => {
    const { out, refused } = await attack(archive(good, file("good.txt", "other")));
    expect(out).toEqual(GOOD);
    expect(refused).toEqual([{ path: "good.txt", why: "the name occurs twice" }]);
  });

  it("refuses a file where a directory was, and something below a file", async () => {
    const { out, refused } = await attack(archive(file("d/x", "1"), file("d", "2"), file("f", "3"), file("f/x", "4"), directory("f")));
    expect(out).toEqual({ d: "/", "d/x": "644 1", f: "644 3" });
    expect(refused.map(({ path }) => path)).toEqual(["d", "f/x", "f"]);
  });

  it.each([
    ["case", "Readme", "README"],
    ["case of a directory", "Dir/a", "dir/b"],
    ["case beyond ASCII", "straße", "STRASSE"],
    ["composition", "caf\u00e9", "cafe\u0301"],
  ])("refuses the second of two names that differ in %s only", async (_, first, second) => {
    const { artifacts, refused } = await attack(archive(paxFile(first), paxFile(second)));
    expect(artifacts.map(({ path }) => path)).toEqual([first]);
    expect(refused).toEqual([{ path: second, why: expect.stringContaining("can't be told from") }]);
  });

  it.each([
    ".git/hooks/x",
    ".GIT/config",
    "sub/.git/hooks/post-checkout",
    ".git./hooks/x",
    ".git /x",
    "GIT~1/hooks/x",
    ".git::$INDEX_ALLOCATION/x",
    ".git",
  ])("refuses %s, which git would act on", async (name) => {
    const { out, refused } = await attack(archive(file(name, "#!/bin/sh\n", { mode: 0o755 }), good));
    expect(out).toEqual(GOOD);
    expect(refused).toEqual([{ path: name, why: expect.stringContaining(".git") }]);
  });

  it("takes names that only resemble .git", async () => {
    const { refused } = await attack(archive(file(".gitignore"), file("x.git/a"), file(".github/b"), file("git/c")));
    expect(refused).toEqual([]);
  });

  it.each(["a//b", "./../x", "a/./b", "a/..", "..", "./", "x/", ""])("takes nothing from a file named %j", async (name) => {
    const { artifacts, refused } = await attack(archive(file(name, "x"), good));
    expect(artifacts.map(({ path }) => path)).toEqual(["good.txt"]);
    expect(refused).toHaveLength(1);
  });
});

describe("archives without end or sense", () => {
  it("ends at a million entries in bounded time and memory", async () => {
    const one = (index: number) => header({ name: `f${index}` });
    function* many() {
      for (let index = 0; ; index += 1) yield one(index);
    }
    const heap = process.memoryUsage().rss;
    const { cut, artifacts, refused } = await attack(many(), { globs: ["none"], limits: { maxBytes: 1, maxEntries: 20_000 } });
    expect(cut).toContain("it has more than 20000 entries");
    expect(artifacts).toEqual([]);
    expect(refused).toHaveLength(1);
    expect(process.memoryUsage().rss - heap).toBeLessThan(200 * 1024 * 1024);
  });

  it("lists no more than a thousand refusals, and how many there were besides", async () => {
    const links = Array.from({ length: 1500 }, (_, index) => symlink(`l${index}`, "/etc/passwd"));
    const { refused } = await attack(archive(...links, good));
    expect(refused).toHaveLength(1001);
    expect(refused.at(-1)).toEqual({ path: ".", why: "500 more refusals are not listed" });
  });

  it("ends at a name 10,000 levels deep, and at one of more than 4,096 bytes", async () => {
    expect((await attack(archive(good, pax([`path=${"d/".repeat(2000)}x`]), file("x")))).cut).toContain("deeper than 256 levels");
    expect((await attack(archive(good, pax([`path=${"d".repeat(5000)}`]), file("x")))).cut).toContain("longer than 4096 bytes");
    const { out, cut } = await attack(archive(good, pax([`path=${"d/".repeat(10_000)}x`]), file("x")));
    expect(out).toEqual(GOOD);
    expect(cut).toContain("a pax header has 20");
  });

  it("refuses a component of more than 255 bytes", async () => {
    expect((await attack(archive(paxFile("x".repeat(256)), good))).refused).toEqual([
      { path: "x".repeat(256), why: "a name is longer than 255 bytes" },
    ]);
  });

  it("ends when it stands still for too long, and keeps what came before", async () => {
    const halted = new Readable({ read: () => undefined });
    halted.push(Buffer.concat([good, header({ name: "slow", size: 1000 }), Buffer.from("part")]));
    const { out, cut, refused } = await attack(halted, { signal: AbortSignal.timeout(200) });
    expect(out).toEqual(GOOD);
    expect(cut).toBe("collecting took too long or was given up");
    expect(refused.map(({ path }) => path)).toEqual(["slow", "."]);
    expect(halted.destroyed).toBe(true);
  });

  it("ends in time also when it never stops sending", async () => {
    const first = header({ name: "zeros", sizeField: base256(0x80, 0x10, 0, 0, 0, 0, 0) });
    async function* sending() {
      for (const piece of endless(Buffer.alloc(65_536), first)) {
        yield piece;
        await setImmediate();
      }
    }
    const { out, cut } = await attack(Readable.from(sending(), { objectMode: false }), {
      globs: ["*.txt"],
      signal: AbortSignal.timeout(200),
      limits: { maxBytes: 2 ** 50, maxEntries: 10 },
    });
    expect(out).toEqual({});
    expect(cut).toBe("collecting took too long or was given up");
  });

  it.each([
    ["in a file", Buffer.concat([good, header({ name: "x", size: 1000 }), Buffer.alloc(700)])],
    ["in a header", Buffer.concat([good, header({ name: "x" }).subarray(0, 300)])],
    ["without the blocks at the end", good],
    ["after one block of the end", Buffer.concat([good, Buffer.alloc(512)])],
    ["in a pax header", Buffer.concat([good, pax(["path=a"]).subarray(0, 600)])],
  ])("says that it was cut %s", async (_, bytes) => {
    const { out, cut } = await attack(bytes);
    expect(out).toEqual(GOOD);
    expect(cut).toContain("it ends early");
  });

  it.each([
    ["a wrong checksum", header({ name: "x", checksum: 1 }), "a header has a wrong checksum"],
    ["no ustar magic", header({ name: "x", magic: "" }), "a header is not a ustar header"],
    ["GNU magic", header({ name: "x", magic: "ustar  \0" }), "a header is not a ustar header"],
    ["garbage", Buffer.alloc(512, 0xa5), "a header is not a ustar header"],
    ["a block of the end in the middle", Buffer.concat([Buffer.alloc(512), file("y")]), "a zero block stands between entries"],
    ["text behind a name", header({ name: "x\0../../victim" }), "a name goes on behind its end"],
    ["text behind a target", header({ name: "x", type: "2", target: "a\0b" }), "a link target goes on behind its end"],
  ])("ends at a header with %s", async (_, bytes, why) => {
    const { out, cut } = await attack(archive(good, bytes, file("late")));
    expect(out).toEqual(GOOD);
    expect(cut).toContain(why);
  });

  it("ends at anything behind the end", async () => {
    expect((await attack(Buffer.concat([archive(good), file("late")]))).cut).toContain("it goes on behind its end");
    expect((await attack(Readable.from(endless(END, good), { objectMode: false }))).cut).toContain("it goes on behind its end");
  });

  it("tells the same from any cut of the stream into pieces", async () => {
    const bytes = archive(paxFile("long/".repeat(30), "1"), paxFile(`${"n/".repeat(60)}x`, "2"), symlink("l", "t"), good);
    const whole = await attack(bytes);
    for (const size of [1, 7, 511, 512, 513]) {
      const pieces = Array.from({ length: Math.ceil(bytes.length / size) }, (_, index) => bytes.subarray(index * size, (index + 1) * size));
      expect(await attack(pieces)).toEqual(whole);
    }
  });
});

it("leaves nothing behind when a path of the output is taken while it collects", async () => {
  await using lab = await tempDirectory();
  const racing = Readable.from(
    (async function* () {
      yield good;
      await mkdir(lab.join("out"));
      await writeFile(lab.join("out", "theirs"), "x");
      yield END;
    })(),
    { objectMode: false },
  );
  await expect(collectFrom(racing, { out: lab.join("out") })).rejects.toMatchObject({ code: "COLLECT_FAILED" });
  expect(await readTree(lab.path)).toEqual({ out: "/", "out/theirs": "644 x" });
});

function* endless(piece: Buffer, first: Buffer = piece): Generator<Buffer> {
  yield first;
  for (;;) yield piece;
}

/** A size field as GNU tar writes what octal digits can't hold: the sign, then eleven bytes of which the last are given. */
function base256(sign: 0x80 | 0xff, ...last: readonly number[]): Buffer {
  return Buffer.from([sign, ...Array<number>(11 - last.length).fill(sign === 0xff ? 0xff : 0), ...last]);
}
