import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { promisify } from "node:util";
import { createRunId } from "../../src/core/ids.ts";
import { connectEngine, type EngineSearch } from "../../src/engine/find-engine.ts";
import type { ContainerSpec, Engine, Image } from "../../src/engine/port.ts";
import { type PostureRequest, resolvePosture } from "../../src/engine/posture.ts";
import { engineSocket } from "../lab/engine-api.ts";
import { type TempDirectory, tempDirectory } from "../lab/temp-directory.ts";

const MIB = 1024 * 1024;
const SECCOMP = new URL("../../images/seccomp.json", import.meta.url).pathname;

/**
 * A guest for tests of the engine: it says `ready`, and then does what the first byte of its input asks for: `e` echoes the rest, `s` becomes
 * `/bin/sh`, anything else ends it. The content of `salt` makes it another version.
 */
function source(salt: string): string {
  return `#include <unistd.h>
const char salt[] = "${salt}";
int main(void) {
  static char b[65536];
  char *argv[] = {"sh", 0}, *envp[] = {"PATH=/bin", 0};
  if (write(1, "ready", 5) != 5 || read(0, b, 1) != 1) return salt[0] == 1;
  if (b[0] == 's') return execve("/bin/sh", argv, envp);
  if (b[0] != 'e') return 3;
  for (long n; (n = read(0, b, sizeof b)) > 0;)
    for (long at = 0, w; at < n; at += w)
      if ((w = write(1, b + at, n - at)) < 0) return 4;
  return 0;
}
`;
}

/** A guest directory as the package ships it, with a stand-in of its own version inside. */
export async function standInGuest(): Promise<TempDirectory> {
  const directory = await tempDirectory();
  const platform = process.arch === "arm64" ? "linux-arm64" : "linux-x64";
  await mkdir(directory.join(platform));
  await writeFile(directory.join("guest.c"), source(createRunId()));
  await promisify(execFile)("musl-gcc", ["-static", "-Os", "-s", "-o", directory.join(platform, "guest"), directory.join("guest.c")]);
  const sum = createHash("sha256")
    .update(await readFile(directory.join(platform, "guest")))
    .digest("hex");
  await writeFile(directory.join("SHA256SUMS"), `${sum}  ${platform}/guest\n`);
  return directory;
}

/** The engine at `host`, by default that of the tests, with a stand-in that nobody else has. */
export async function openStandInEngine(host = `unix://${engineSocket()}`): Promise<Engine & AsyncDisposable> {
  const guest = await standInGuest();
  const engine = await connectEngine(searchFor(host, guest));
  return {
    ...engine,
    async [Symbol.asyncDispose]() {
      engine.close();
      await guest[Symbol.asyncDispose]();
    },
  };
}

export function searchFor(host: string, guest: TempDirectory): EngineSearch {
  return { host, env: {}, home: "/nonexistent", uid: 0, guestDirectory: guest.path, seccompFile: SECCOMP };
}

export const SMALL: Omit<PostureRequest, "imageVolumes"> = {
  user: { uid: 65532, gid: 65532 },
  hostname: "sandbox",
  runtime: undefined,
  memoryBytes: 128 * MIB,
  cpus: 1,
  pids: 64,
  workspaceBytes: 32 * MIB,
  tmpBytes: 8 * MIB,
  mounts: [],
};

export function specFor(image: Image, change: { readonly posture?: Partial<PostureRequest>; readonly keep?: boolean } = {}): ContainerSpec {
  const posture = resolvePosture({ ...SMALL, imageVolumes: image.volumes, ...change.posture });
  return { run: createRunId(), image, posture, labels: { team: "tests" }, keep: change.keep ?? false };
}
