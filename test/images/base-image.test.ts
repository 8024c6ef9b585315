import { execFile } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { promisify } from "node:util";
import { beforeAll, expect, it, onTestFinished, vi } from "vitest";
import { type BuildRequest, buildImage, listImages } from "../../src/images/build-image.ts";
import type { ImageStore } from "../../src/images/image-store.ts";
import { dockerCli } from "../lab/engine-api.ts";
import { openImageStore } from "../lab/image-store.ts";
import { type TempDirectory, tempDirectory } from "../lab/temp-directory.ts";

let store: ImageStore;
beforeAll(async () => {
  const opened = await openImageStore();
  store = opened.store;
  return () => opened.close();
});

function request(changes: Partial<BuildRequest> = {}): BuildRequest {
  const signal = new AbortController().signal;
  return { store, name: "sandbox/base", recipeDirectory: "images/base", force: false, onProgress: () => undefined, signal, ...changes };
}

function inside(...command: readonly string[]): Promise<string> {
  return dockerCli(["run", "--rm", "--network", "none", "sandbox/base", ...command]);
}

it("is not made again while its recipe stays the same", async () => {
  const lines: string[] = [];
  const result = await buildImage(request({ onProgress: (line) => lines.push(line) }));
  expect(result).toMatchObject({ built: false, image: { ref: "sandbox/base:latest" } });
  expect(lines).toEqual([]);
});

it("is listed with its recipe", async () => {
  const { recipe } = await buildImage(request());
  expect(await listImages(store)).toContainEqual(
    expect.objectContaining({ ref: "sandbox/base:latest", labels: expect.objectContaining({ "sandbox.recipe": recipe }) }),
  );
});

it("holds no file with a setuid or setgid bit", async () => {
  expect(await inside("find", "/", "-xdev", "-type", "f", "-perm", "/6000")).toBe("");
  expect(await inside("stat", "-c", "%a", "/usr/bin/su")).toBe("755\n");
});

it("knows the task's user and gives it the workspace", async () => {
  expect(await inside("getent", "passwd", "65532")).toBe("sandbox:x:65532:65532::/workspace:/bin/bash\n");
  expect(await inside("stat", "-c", "%u:%g %F", "/workspace")).toBe("65532:65532 directory\n");
});

it.each(["bash", "curl", "git", "jq", "node", "python", "python3"])("has a working %s", async (program) => {
  await expect(inside(program, "--version")).resolves.toMatch(/\d+\.\d+/);
});

it("runs Python's unit tests without more packages", async () => {
  await expect(inside("python3", "-c", "import ssl, sqlite3, unittest; print('ok')")).resolves.toBe("ok\n");
});

it("carries no manuals, package lists or caches", async () => {
  const places = ["/usr/share/doc", "/usr/share/man", "/var/cache/apt", "/var/lib/apt/lists", "/var/log"];
  expect(await inside("sh", "-c", `for place in ${places.join(" ")}; do [ ! -d $place ] || find $place ! -type d ! -name lock; done`)).toBe(
    "",
  );
});

/** Puts a program called `mmdebstrap` before the real one until the test ends. */
async function replaceMmdebstrap(directory: TempDirectory, script: string): Promise<void> {
  await writeFile(directory.join("mmdebstrap"), `#!/bin/sh\n[ "$1" = --version ] && exit 0\n${script}\n`, { mode: 0o755 });
  vi.stubEnv("PATH", `${directory.path}:${process.env["PATH"] ?? ""}`);
  onTestFinished(() => void vi.unstubAllEnvs());
}

it("stays as it was when the packages cannot be had, and says why", async () => {
  const before = await store.find("sandbox/base:latest");
  await using directory = await tempDirectory();
  await replaceMmdebstrap(
    directory,
    "echo half an archive; echo 'E: Unable to locate package jq' >&2; echo 'E: mmdebstrap failed to run' >&2; exit 25",
  );
  await expect(buildImage(request({ force: true }))).rejects.toMatchObject({
    code: "BUILD_FAILED",
    message: "mmdebstrap ended with status 25: Unable to locate package jq.",
    hint: expect.stringContaining("apt-get update"),
  });
  expect(await store.find("sandbox/base:latest")).toEqual(before);
});

it("stays as it was when making it is given up, and leaves neither process, mount nor file behind", async () => {
  const before = await store.find("sandbox/base:latest");
  const stop = new AbortController();
  let place = "";
  const onProgress = (line: string): void => {
    if (!line.includes("running apt-get update")) return;
    place = places().join();
    stop.abort();
  };
  await expect(buildImage(request({ force: true, signal: stop.signal, onProgress }))).rejects.toMatchObject({ code: "INTERRUPTED" });
  expect(place).toMatch(/^sandbox-image-\w+$/);
  expect(places()).toEqual([]);
  expect(readFileSync("/proc/self/mounts", "utf8")).not.toContain(place);
  await expect(promisify(execFile)("pgrep", ["-f", place])).rejects.toMatchObject({ code: 1 });
  expect(await store.find("sandbox/base:latest")).toEqual(before);
});

function places(): readonly string[] {
  return readdirSync(tmpdir()).filter((name) => name.startsWith("sandbox-image-"));
}

it("has one name", async () => {
  await expect(buildImage(request({ name: "sandbox/other" }))).rejects.toMatchObject({
    code: "USAGE",
    message: expect.stringContaining('"sandbox/other"'),
  });
});
