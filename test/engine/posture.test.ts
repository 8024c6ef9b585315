import { describe, expect, it } from "vitest";
import { isReservedTarget, resolvePosture } from "../../src/engine/posture.ts";
import { SMALL } from "./stand-in.ts";

const MIB = 1024 * 1024;

function writable(imageVolumes: readonly string[], mounts: readonly { source: string; target: string; writable: boolean }[] = []) {
  return resolvePosture({ ...SMALL, imageVolumes, mounts }).writable;
}

describe("the posture of a container", () => {
  it("has three writable places, bounded in bytes and inodes", () => {
    expect(writable([])).toEqual([
      { path: "/workspace", bytes: 32 * MIB, inodes: 8192, exec: true },
      { path: "/tmp", bytes: 8 * MIB, inodes: 2048, exec: true },
      { path: "/dev/shm", bytes: 16 * MIB, inodes: 4096, exec: false },
    ]);
  });

  it("gives small places room for a thousand files", () => {
    expect(resolvePosture({ ...SMALL, tmpBytes: 4096, imageVolumes: [] }).writable[1]?.inodes).toBe(1024);
  });

  it("limits open files, core dumps and the size of a file to the largest place", () => {
    expect(resolvePosture({ ...SMALL, imageVolumes: [] }).limits).toEqual([
      { name: "nofile", value: 4096 },
      { name: "core", value: 0 },
      { name: "fsize", value: 32 * MIB },
    ]);
  });

  it("covers each volume of the image once, below a writable place too, and not where the caller mounts", () => {
    const mounts = [{ source: "/srv", target: "/data", writable: false }];
    const paths = writable(["/var/lib/db/", "/workspace", "/workspace/cache", "/var//lib/db", "/data"], mounts).map(({ path }) => path);
    expect(paths).toEqual(["/workspace", "/tmp", "/dev/shm", "/var/lib/db", "/workspace/cache"]);
  });

  it("lets a mount take the place of the workspace", () => {
    expect(writable([], [{ source: "/srv", target: "/workspace", writable: true }]).map(({ path }) => path)).toEqual(["/tmp", "/dev/shm"]);
  });

  it.each([
    "/",
    "/proc",
    "/proc/self",
    "/sys/fs",
    "/dev/x",
    "/data/../proc",
    "/.belljar",
    "/.belljar/guest",
    "data",
    "",
    "/a,size=1g",
    "/a:rw",
    "/a\nb",
  ])("refuses an image that declares a volume at %j", (path) => {
    expect(() => writable([path])).toThrow(
      expect.objectContaining({ code: "UNSUPPORTED", message: expect.stringContaining(JSON.stringify(path)) }),
    );
  });

  it("refuses places that do not fit into the memory that pays for them", () => {
    const request = { ...SMALL, imageVolumes: [], memoryBytes: 56 * MIB - 1 };
    expect(() => resolvePosture(request)).toThrow(expect.objectContaining({ code: "BAD_QUOTA", message: expect.stringContaining("56m") }));
    expect(resolvePosture({ ...request, memoryBytes: 56 * MIB }).memoryBytes).toBe(56 * MIB);
  });

  it("knows the targets that belong to the kernel and the guest", () => {
    expect(["/", "/proc", "/dev/null", "/.belljar"].map(isReservedTarget)).toEqual([true, true, true, true]);
    expect(["/process", "/device", "/srv/proc", "/.belljar2"].map(isReservedTarget)).toEqual([false, false, false, false]);
  });
});
