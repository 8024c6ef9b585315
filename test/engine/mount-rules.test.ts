import { once } from "node:events";
import { mkdir, symlink, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { resolveMount } from "../../src/engine/mount-rules.ts";
import { type TempDirectory, tempDirectory } from "../lab/temp-directory.ts";

describe("a mount", () => {
  let directory: TempDirectory;
  const closing: (() => void)[] = [];
  beforeAll(async () => {
    directory = await tempDirectory();
    await mkdir(directory.join("data"));
    await writeFile(directory.join("file"), "");
    for (const path of ["engine/docker.sock", "home/.docker/run/docker.sock", "service/other.sock"]) {
      await mkdir(directory.join(path, ".."), { recursive: true });
      const server = createServer().listen(directory.join(path));
      await once(server, "listening");
      closing.push(() => server.close());
    }
    await symlink(directory.join("data"), directory.join("to-data"));
    await symlink("/proc", directory.join("to-proc"));
    await symlink(directory.join("engine"), directory.join("to-engine"));
    await symlink("/", directory.join("to-root"));
  });
  afterAll(async () => {
    for (const close of closing) close();
    await directory[Symbol.asyncDispose]();
  });

  const mount = (source: string, target = "/data") => resolveMount({ source, target, writable: false });

  it("of a directory, a file or a link to one has its real path", async () => {
    expect(await mount(directory.join("data"))).toEqual({ source: directory.join("data"), target: "/data", writable: false });
    expect(await mount(directory.join("file"))).toMatchObject({ source: directory.join("file") });
    expect(await mount(directory.join("to-data"))).toMatchObject({ source: directory.join("data") });
  });

  it("of a directory with sockets that are no engine's is allowed", async () => {
    expect(await mount(directory.join("service"))).toMatchObject({ source: directory.join("service") });
  });

  it.each(["/", "/proc", "/proc/self", "/sys", "/sys/fs/cgroup", "/dev", "/dev/null", "/run", "/var/run", "relative", "/does/not/exist"])(
    "of %s is refused",
    async (source) => {
      await expect(mount(source)).rejects.toMatchObject({ code: "BAD_MOUNT", message: expect.stringContaining(JSON.stringify(source)) });
    },
  );

  it.each([
    "to-proc",
    "to-root",
    "to-engine",
    "engine",
    "engine/docker.sock",
    "home",
    "home/.docker",
    "home/.docker/run",
    "service/other.sock",
    "data/../to-proc/self",
  ])("of %s, which leads to the kernel or an engine, is refused", async (source) => {
    await expect(mount(directory.join(source))).rejects.toMatchObject({ code: "BAD_MOUNT" });
  });

  it.each([
    "/",
    "/proc",
    "/proc/x",
    "/sys",
    "/dev/shm",
    "/.belljar",
    "/.belljar/guest",
    "data",
    "/a/../b",
    "/a/./b",
    "/a//b",
    "/a/",
    "/a,b",
    "/a:b",
    "/a\nb",
    "",
  ])("at %j is refused", async (target) => {
    await expect(mount(directory.join("data"), target)).rejects.toMatchObject({
      code: "BAD_MOUNT",
      message: expect.stringContaining(JSON.stringify(target)),
    });
  });
});
