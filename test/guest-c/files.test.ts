import { execFileSync } from "node:child_process";
import {
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { buffer } from "node:stream/consumers";
import { pack as createPack, extract, type Header } from "tar-stream";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { strings, Type, u32 } from "./codec.ts";
import { GUEST_WINDOW, type GuestProcess, installGuest, startGuest, TASK_UID } from "./guest-process.ts";

const ENOENT = 2;
const EACCES = 13;
const EINVAL = 22;
const ENOSPC = 28;

const installed = installGuest();
let folder: string;

beforeEach(() => {
  folder = mkdtempSync("/dev/shm/guest-files-");
  chownSync(folder, TASK_UID, TASK_UID);
});

afterEach(() => {
  rmSync(folder, { recursive: true });
});

type Entry = { readonly headers: Header; readonly body: Buffer };

type NewEntry = { readonly headers: Partial<Header> & Pick<Header, "name">; readonly body?: string | Buffer };

function toTar(entries: readonly NewEntry[]): Promise<Buffer> {
  const tar = createPack();
  for (const { headers, body } of entries) tar.entry(headers, body ?? "");
  tar.finalize();
  return buffer(tar);
}

async function fromTar(bytes: Buffer): Promise<readonly Entry[]> {
  const entries: Entry[] = [];
  const reader = extract();
  reader.end(bytes);
  for await (const entry of reader) entries.push({ headers: entry.header, body: await buffer(entry) });
  return entries;
}

type Transfer = {
  readonly end: number;
  readonly failed: Buffer | undefined;
  readonly notes: readonly (readonly [number, string])[];
  readonly bytes: Buffer;
};

/** Takes everything an unpack or pack says until it is over. */
async function transferred(guest: GuestProcess, stream: number): Promise<Transfer> {
  const notes: (readonly [number, string])[] = [];
  const pieces: Buffer[] = [];
  for (;;) {
    const { type, payload } = await guest.next((frame) => frame.stream === stream);
    if (type === Type.NOTE) notes.push([payload.readUInt32BE(0), payload.subarray(4).toString()]);
    if (type === Type.DATA) {
      pieces.push(payload);
      guest.send(stream, Type.CREDIT, u32(payload.length));
    }
    if (type === Type.DONE || type === Type.FAILED)
      return { end: type, failed: type === Type.FAILED ? payload : undefined, notes, bytes: Buffer.concat(pieces) };
  }
}

async function unpack(guest: GuestProcess, archive: Buffer, directory = folder): Promise<Transfer> {
  const stream = guest.newStream();
  guest.send(stream, Type.UNPACK, strings(directory));
  let credit = GUEST_WINDOW;
  for (let at = 0; at < archive.length; ) {
    if (credit === 0) credit += (await guest.expect(stream, Type.CREDIT)).payload.readUInt32BE(0);
    const piece = archive.subarray(at, at + Math.min(credit, 65_536));
    guest.send(stream, Type.DATA, piece);
    at += piece.length;
    credit -= piece.length;
  }
  guest.send(stream, Type.EOF);
  return transferred(guest, stream);
}

function pack(guest: GuestProcess, ...paths: readonly string[]): Promise<Transfer> {
  const stream = guest.newStream();
  guest.send(stream, Type.PACK, strings(folder, ...paths));
  return transferred(guest, stream);
}

describe("unpack", () => {
  test("makes what the archive holds, with modes and times", async () => {
    await using guest = await startGuest(installed.path);
    const mtime = new Date(1_700_000_000_000);
    const long = `${"n".repeat(150)}/${"m".repeat(120)}`;
    const archive = await toTar([
      { headers: { name: "sealed", type: "directory", mode: 0o555, mtime } },
      { headers: { name: "sealed/tool", mode: 0o4755, mtime }, body: "#!/bin/sh\n" },
      { headers: { name: long, mode: 0o600, mtime }, body: Buffer.alloc(300_000, "x") },
      { headers: { name: "link", type: "symlink", linkname: "sealed/tool", mtime } },
    ]);
    expect(await unpack(guest, archive)).toMatchObject({ end: Type.DONE, notes: [] });
    expect(lstatSync(join(folder, "sealed")).mode & 0o7777).toBe(0o555);
    expect(lstatSync(join(folder, "sealed")).mtimeMs).toBe(mtime.getTime());
    expect(lstatSync(join(folder, "sealed/tool"))).toMatchObject({ mtimeMs: mtime.getTime(), uid: TASK_UID });
    expect(lstatSync(join(folder, "sealed/tool")).mode & 0o7777).toBe(0o755);
    expect(readFileSync(join(folder, long)).equals(Buffer.alloc(300_000, "x"))).toBe(true);
    expect(readlinkSync(join(folder, "link"))).toBe("sealed/tool");
  });

  test("leaves out what would leave the directory, and says so", async () => {
    await using guest = await startGuest(installed.path);
    const archive = await toTar([
      { headers: { name: "../up" }, body: "x" },
      { headers: { name: "/tmp/guest-files-absolute" }, body: "x" },
      { headers: { name: "out", type: "symlink", linkname: "/tmp" } },
      { headers: { name: "out/guest-files-through" }, body: "x" },
      { headers: { name: "after" }, body: "still made" },
    ]);
    const { end, notes } = await unpack(guest, archive);
    expect([end, notes.map(([, path]) => path)]).toEqual([Type.DONE, ["../up", "/tmp/guest-files-absolute", "out/guest-files-through"]]);
    expect(notes[0]?.[0]).toBe(EINVAL);
    expect(readFileSync(join(folder, "after"), "utf8")).toBe("still made");
    expect(existsSync("/tmp/guest-files-through") || existsSync("/tmp/guest-files-absolute")).toBe(false);
  });

  test("fails with the directory's errno when there is none", async () => {
    await using guest = await startGuest(installed.path);
    const { failed } = await unpack(guest, Buffer.alloc(1024), join(folder, "missing"));
    expect([failed?.readUInt8(0), failed?.readUInt32BE(4)]).toEqual([1, ENOENT]);
  });

  test("fails on a stream that is no archive, or half of one", async () => {
    await using guest = await startGuest(installed.path);
    const archive = await toTar([{ headers: { name: "a" }, body: "x".repeat(2000) }]);
    for (const stream of [Buffer.alloc(512, "x"), archive.subarray(0, 1024), archive.subarray(0, -512), Buffer.alloc(0)]) {
      const { failed } = await unpack(guest, stream);
      expect([failed?.readUInt8(0), failed?.readUInt32BE(4)]).toEqual([2, EINVAL]);
    }
    expect(existsSync(join(folder, "a"))).toBe(true); // the one that lacked only its second zero block
  });

  test("tells of ten thousand entries that can't be made while the host is slow to listen", async () => {
    await using guest = await startGuest(installed.path);
    const archive = await toTar(Array.from({ length: 10_000 }, (_, index) => ({ headers: { name: `../${"x".repeat(80)}${index}` } })));
    const { end, notes } = await unpack(guest, archive);
    expect([end, notes.length]).toEqual([Type.DONE, 10_000]);
  });

  test("ends at a full disk, naming the file, and leaves no half of it", async () => {
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=256k,mode=777", "tmpfs", folder]);
    try {
      await using guest = await startGuest(installed.path);
      const archive = await toTar([
        { headers: { name: "fits" }, body: "x" },
        { headers: { name: "does/not" }, body: Buffer.alloc(400_000) },
      ]);
      const { failed } = await unpack(guest, archive);
      expect([failed?.readUInt8(0), failed?.readUInt32BE(4), failed?.subarray(8).toString()]).toEqual([3, ENOSPC, "does/not"]);
      expect([existsSync(join(folder, "fits")), existsSync(join(folder, "does/not"))]).toEqual([true, false]);
    } finally {
      execFileSync("umount", ["-l", folder]);
    }
  });
});

describe("pack", () => {
  test("gives back what unpack made", async () => {
    await using guest = await startGuest(installed.path);
    const long = `${"n".repeat(150)}/${"m".repeat(120)}`;
    await unpack(
      guest,
      await toTar([
        { headers: { name: "d/file", mode: 0o640, mtime: new Date(1e12) }, body: "body" },
        { headers: { name: long }, body: "x".repeat(70_000) },
        { headers: { name: "d/link", type: "symlink", linkname: `/${"t".repeat(150)}` } },
      ]),
    );
    const { end, notes, bytes } = await pack(guest, "d", long);
    expect([end, notes]).toEqual([Type.DONE, []]);
    const entries = new Map((await fromTar(bytes)).map((entry) => [entry.headers.name, entry]));
    expect([...entries.keys()].sort()).toEqual(["d", "d/file", "d/link", long]);
    expect(entries.get("d/file")).toMatchObject({
      headers: { type: "file", mode: 0o640, mtime: new Date(1e12), uid: 0 },
      body: Buffer.from("body"),
    });
    expect(entries.get("d/link")?.headers).toMatchObject({ type: "symlink", linkname: `/${"t".repeat(150)}` });
    expect(entries.get(long)?.body.length).toBe(70_000);
  });

  test("follows no link, and notes what is missing or can't be read", async () => {
    await using guest = await startGuest(installed.path);
    mkdirSync(join(folder, "d"));
    symlinkSync("/etc", join(folder, "d/etc"));
    writeFileSync(join(folder, "d/secret"), "x");
    chownSync(join(folder, "d/secret"), TASK_UID, TASK_UID);
    chmodSync(join(folder, "d/secret"), 0);
    const { notes, bytes } = await pack(guest, "d", "missing", "d/etc/passwd");
    expect((await fromTar(bytes)).map(({ headers }) => [headers.name, headers.type])).toEqual([
      ["d", "directory"],
      ["d/etc", "symlink"],
    ]);
    expect(notes.map(([errno, path]) => [path, errno]).sort()).toEqual([
      ["d/etc/passwd", 20],
      ["d/secret", EACCES],
      ["missing", ENOENT],
    ]);
  });

  test("keeps the announced size of a file that shrinks or grows while it is read", async () => {
    await using guest = await startGuest(installed.path, { window: 4_096 });
    for (const size of [10, 300_000]) {
      writeFileSync(join(folder, "f"), Buffer.alloc(200_000, "x"));
      const stream = guest.newStream();
      guest.send(stream, Type.PACK, strings(folder, "f"));
      const first = await guest.expect(stream, Type.DATA);
      truncateSync(join(folder, "f"), size);
      guest.send(stream, Type.CREDIT, u32(first.payload.length));
      const rest = await transferred(guest, stream);
      const entry = (await fromTar(Buffer.concat([first.payload, rest.bytes])))[0];
      expect(entry?.body.length).toBe(200_000);
      expect(entry?.body.subarray(-100)).toEqual(Buffer.alloc(100, size < 200_000 ? 0 : "x"));
    }
  });

  test("ends at once when the host wants no more", async () => {
    await using guest = await startGuest(installed.path, { window: 4_096 });
    writeFileSync(join(folder, "f"), Buffer.alloc(200_000, "x"));
    const stream = guest.newStream();
    guest.send(stream, Type.PACK, strings(folder, "f"));
    await guest.expect(stream, Type.DATA);
    guest.send(stream, Type.STOP);
    await guest.expect(stream, Type.EOF);
    await guest.expect(stream, Type.DONE);
  });
});

describe("stats", () => {
  test("tell how full the watched directories are and were, by their position", async () => {
    const marker = join(folder, "filled");
    await using guest = await startGuest(installed.path, { watch: ["/no/such/directory", "/dev/shm"] });
    await guest.sh(`head -c 8000000 /dev/zero > ${marker}; sleep 0.6; rm ${marker}`);
    guest.send(0, Type.STATS_REQUEST);
    const { payload } = await guest.expect(0, Type.STATS);
    const entries = new Map<string, bigint>();
    for (let at = 0; at < payload.length; at += 12)
      entries.set(`${payload.readUInt16BE(at)}.${payload.readUInt16BE(at + 2)}`, payload.readBigUInt64BE(at + 4));
    expect(entries.has("14.0")).toBe(false);
    expect(entries.get("15.1")).toBeGreaterThan(0n);
    expect(Number(entries.get("18.1")) - Number(entries.get("14.1"))).toBeGreaterThanOrEqual(0);
    expect(entries.get("18.1")).toBeGreaterThanOrEqual(8_000_000n);
  });
});
