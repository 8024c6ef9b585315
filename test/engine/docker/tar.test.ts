import { execFile } from "node:child_process";
import { readFile, stat, writeFile } from "node:fs/promises";
import { promisify } from "node:util";
import { describe, expect, it } from "vitest";
import { firstTarFile, packTar } from "../../../src/engine/docker/tar.ts";
import { tempDirectory } from "../../lab/temp-directory.ts";

const run = promisify(execFile);

describe("the archive that fills the guest's volume", () => {
  const content = Buffer.from("x".repeat(1000));
  const archive = packTar([
    { name: "guest.part", mode: 0o755, content },
    { name: "guest", linkTo: "guest.part" },
  ]);

  it("is unpacked by tar as a file and a hard link to it", async () => {
    await using directory = await tempDirectory();
    await writeFile(directory.join("a.tar"), archive);
    await run("tar", ["-xf", "a.tar"], { cwd: directory.path });
    const [part, guest] = await Promise.all([stat(directory.join("guest.part")), stat(directory.join("guest"))]);
    expect(guest.ino).toBe(part.ino);
    expect(guest.mode & 0o7777).toBe(0o755);
    expect((await readFile(directory.join("guest"))).equals(content)).toBe(true);
  });

  it("gives its first file back, as the archive of tar does", async () => {
    await using directory = await tempDirectory();
    await writeFile(directory.join("guest"), content);
    await run("tar", ["--format=pax", "-cf", "a.tar", "guest"], { cwd: directory.path });
    expect(firstTarFile(archive)?.equals(content)).toBe(true);
    expect(firstTarFile(await readFile(directory.join("a.tar")))?.equals(content)).toBe(true);
  });

  it.each([0, 511, 600, 1511])("gives nothing when it was cut off after %d bytes", (bytes) => {
    expect(firstTarFile(archive.subarray(0, bytes))).toBeUndefined();
  });

  it("gives nothing for bytes that are no archive", () => {
    expect(firstTarFile(Buffer.alloc(2048, 0xff))).toBeUndefined();
  });
});
