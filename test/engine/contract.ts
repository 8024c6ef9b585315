import { once } from "node:events";
import { readFile } from "node:fs/promises";
import type { Duplex } from "node:stream";
import { text } from "node:stream/consumers";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createRunId } from "../../src/core/ids.ts";
import { connectEngine } from "../../src/engine/find-engine.ts";
import { containerName, currentOwner, ownershipLabels } from "../../src/engine/ownership.ts";
import type { Container, Engine, Image } from "../../src/engine/port.ts";
import { openStandInEngine, searchFor, specFor, standInGuest } from "./stand-in.ts";

/** The engine that the contract is tried on, and how to look at it past the product. */
export type Subject = AsyncDisposable & {
  readonly host: string;
  readonly imageRef: string;
  /** An image that declares the volume `/data`. */
  readonly volumeImageRef: string;
  /** Names of all containers and volumes on the engine. */
  inventory(): Promise<readonly string[]>;
  /** Runs the engine's own command line. */
  cli(args: readonly string[]): Promise<string>;
};

/** What every adapter must do, whatever engine is behind it. */
export function engineContract(name: string, open: () => Promise<Subject>): void {
  describe(`an engine: ${name}`, () => {
    let subject: Subject;
    let engine: Engine & AsyncDisposable;
    let image: Image;

    beforeAll(async () => {
      subject = await open();
      engine = await openStandInEngine(subject.host);
      image = await found(engine, subject.imageRef);
    });
    afterAll(async () => {
      await engine[Symbol.asyncDispose]();
      await subject[Symbol.asyncDispose]();
    });

    async function start(spec = specFor(image)): Promise<{ container: Container; pipe: Duplex }> {
      const container = await engine.create(spec);
      const pipe = await container.attach();
      await container.start();
      expect(await read(pipe, 5)).toBe("ready");
      return { container, pipe };
    }

    async function shell(script: string, spec = specFor(image)): Promise<string> {
      const { container, pipe } = await start(spec);
      pipe.end(`s${script}\n`);
      const output = await text(pipe);
      await container.destroy();
      return output + container.diagnostics();
    }

    it("says what it is and where", () => {
      expect(engine.info).toMatchObject({ name, endpoint: subject.host, arch: process.arch === "arm64" ? "arm64" : "amd64" });
      expect(engine.info.version).toMatch(/^\d+\.\d+/);
    });

    it("finds an image with its id and volumes, and nothing for an image that is not there", async () => {
      expect(image.id).toMatch(/^(sha256:)?[0-9a-f]{64}$/);
      expect((await found(engine, subject.volumeImageRef)).volumes).toEqual(["/data"]);
      expect(await engine.findImage("sandbox-test/there-is-none:1")).toBeUndefined();
    });

    it("says why an image cannot be pulled", async () => {
      const pull = engine.pullImage("localhost:1/none:1", { onProgress: () => undefined, signal: AbortSignal.timeout(20_000) });
      await expect(pull).rejects.toMatchObject({ code: "PULL_FAILED", message: expect.stringContaining("localhost:1/none:1") });
    });

    it("leaves nothing behind after a container was started, used and destroyed", async () => {
      const { container } = await start();
      expect(await subject.inventory()).toContain(container.name);
      expect((await container.destroy()).proof).toMatch(/^engine-(removed|404)$/);
      expect(await subject.inventory()).not.toContain(container.name);
    });

    it("carries bytes both ways exactly, in any chunk", async () => {
      const { container, pipe } = await start();
      const sent = Buffer.alloc(3_000_000, 0).map((_byte, index) => (index * 7919) % 251);
      pipe.write("e");
      for (let at = 0, size = 1; at < sent.length; at += size, size = (size * 3) % 100_003) pipe.write(sent.subarray(at, at + size));
      const got: Buffer[] = [];
      let bytes = 0;
      for await (const chunk of pipe) {
        if (Buffer.isBuffer(chunk)) got.push(chunk);
        bytes += got.at(-1)?.length ?? 0;
        if (bytes >= sent.length) break;
      }
      expect(Buffer.concat(got).equals(Buffer.from(sent))).toBe(true);
      await container.destroy();
    });

    it("makes a writer wait for a reader that does not read", async () => {
      const { container, pipe } = await start();
      pipe.write("e");
      pipe.pause();
      const block = Buffer.alloc(1024 * 1024);
      let accepted = 0;
      while (accepted < 64 && pipe.write(block)) accepted += 1;
      expect(accepted).toBeLessThan(64);
      const held = pipe.writableLength;
      expect(held).toBeGreaterThan(0);
      await container.destroy();
    });

    it("ends the container when the pipe's input ends", async () => {
      const { container, pipe } = await start();
      pipe.end("e");
      pipe.resume();
      await once(pipe, "end");
      await container.destroy();
      expect(await subject.inventory()).not.toContain(container.name);
    });

    it("keeps what process 1 writes to standard error out of the pipe", async () => {
      const { container, pipe } = await start();
      pipe.end("secho to the pipe; echo to the diagnostics >&2\n");
      expect(await text(pipe)).toBe("to the pipe\n");
      expect(container.diagnostics()).toBe("to the diagnostics\n");
      await container.destroy();
    });

    it("destroys a container that was never started", async () => {
      const container = await engine.create(specFor(image));
      await container.destroy();
      expect(await subject.inventory()).not.toContain(container.name);
    });

    it("destroys a container that was attached to and never started", async () => {
      const container = await engine.create(specFor(image));
      await container.attach();
      await container.destroy();
      expect(await subject.inventory()).not.toContain(container.name);
    });

    it("destroys a paused container", async () => {
      const { container } = await start();
      await container.pause();
      expect(await container.autopsy(0)).toMatchObject({ paused: true });
      await container.destroy();
      expect(await subject.inventory()).not.toContain(container.name);
    });

    it("destroys a container that someone else removed, and destroys twice", async () => {
      const { container } = await start();
      await subject.cli(["rm", "-f", container.name]);
      expect(await container.destroy()).toMatchObject({ destroyed: true });
      expect(await container.destroy()).toMatchObject({ destroyed: true });
    });

    it("destroys while the container ends by itself", async () => {
      const { container, pipe } = await start();
      pipe.end();
      await container.destroy();
      expect(await subject.inventory()).not.toContain(container.name);
    });

    it("stops a container that is to be kept, and keeps it", async () => {
      const { container } = await start(specFor(image, { keep: true }));
      expect(await container.destroy()).toEqual({ destroyed: false, proof: "kept" });
      expect(await container.autopsy(2_000)).toMatchObject({ running: false });
      expect(await subject.inventory()).toContain(container.name);
      expect(await engine.remove(runOf(container))).toBe(true);
      expect(await subject.inventory()).not.toContain(container.name);
    });

    it("lists its containers with their owner, and removes one by its run", async () => {
      const spec = specFor(image);
      const container = await engine.create(spec);
      const listed = (await engine.list()).find(({ run }) => run === spec.run);
      expect(listed).toMatchObject({ id: container.id, name: container.name, state: "created", kept: false, image: image.ref });
      expect(listed?.owner.pid).toBe(process.pid);
      expect(listed?.labels).toMatchObject({ team: "tests" });
      expect(await engine.remove(spec.run)).toBe(true);
      expect(await engine.remove(spec.run)).toBe(false);
    });

    it("lists a container that carries no name of its image, and says what else the engine knows of it", async () => {
      const run = createRunId();
      const { id } = await found(engine, subject.imageRef);
      const labels = Object.entries(ownershipLabels(run, { owner: currentOwner(), keep: false })).flatMap(([name, value]) => [
        "--label",
        `${name}=${value}`,
      ]);
      await subject.cli(["create", "--name", containerName(run), ...labels, id, "true"]);
      const listed = (await engine.list()).find((container) => container.run === run);
      expect([id.replace("sha256:", "").slice(0, 12), subject.imageRef]).toContain(listed?.image.replace(/^docker.io.library./, ""));
      expect(await engine.remove(run)).toBe(true);
    });

    it("does not touch what only looks like ours", async () => {
      const run = createRunId();
      const decoy = `sandbox-${run}`;
      await subject.cli([
        "create",
        "--name",
        decoy,
        "--label",
        "sandbox.version=1",
        "--label",
        `sandbox.run=${run}`,
        subject.imageRef,
        "true",
      ]);
      expect((await engine.list()).map(({ name: listed }) => listed)).not.toContain(decoy);
      expect(await engine.remove(run)).toBe(false);
      expect(await subject.inventory()).toContain(decoy);
      await subject.cli(["rm", decoy]);
    });

    it("fills the guest's volume again when it was emptied, without the caller noticing", async () => {
      await using other = await standInGuest();
      const first = await connectEngine(searchFor(subject.host, other));
      const before = await subject.inventory();
      await (await first.create(specFor(image))).destroy();
      const volume = (await subject.inventory()).find((entry) => !before.includes(entry)) ?? "";
      expect(volume).toMatch(/^belljar-guest-[0-9a-f]{12}$/);
      await subject.cli(["run", "--rm", "-v", `${volume}:/v`, subject.imageRef, "sh", "-c", "rm -rf /v/*"]);
      const second = await connectEngine(searchFor(subject.host, other));
      const container = await second.create(specFor(image));
      const pipe = await container.attach();
      await container.start();
      expect(await read(pipe, 5)).toBe("ready");
      await container.destroy();
      expect(await engine.removeUnusedGuests()).toContain(volume);
      first.close();
      second.close();
    });

    it("lets many processes fill the volume at once", async () => {
      await using other = await standInGuest();
      const engines = await Promise.all(Array.from({ length: 6 }, () => connectEngine(searchFor(subject.host, other))));
      const said = await Promise.all(
        engines.map(async (each) => {
          const container = await each.create(specFor(image));
          const pipe = await container.attach();
          await container.start();
          const word = await read(pipe, 5);
          await container.destroy();
          each.close();
          return word;
        }),
      );
      expect(said).toEqual(Array(6).fill("ready"));
      expect((await engine.list()).filter(({ owner }) => owner.pid === process.pid)).toEqual([]);
      await engine.removeUnusedGuests();
    });

    it("refuses a guest that is not the published one", async () => {
      await using other = await standInGuest();
      const platform = process.arch === "arm64" ? "linux-arm64" : "linux-x64";
      const sums = await readFile(other.join("SHA256SUMS"), "utf8");
      const { writeFile } = await import("node:fs/promises");
      await writeFile(other.join("SHA256SUMS"), sums.replace(/^[0-9a-f]{4}/, "0000"));
      const wrong = await connectEngine(searchFor(subject.host, other));
      await expect(wrong.create(specFor(image))).rejects.toMatchObject({
        code: "GUEST_MISSING",
        message: expect.stringContaining(`${platform}/guest`),
      });
      wrong.close();
      await engine.removeUnusedGuests();
    });

    it("says that a runtime is missing", async () => {
      const spec = specFor(image, { posture: { runtime: "no-such-runtime" } });
      const attempt = engine.create(spec).then(async (container) => container.start().finally(() => container.destroy()));
      await expect(attempt).rejects.toMatchObject({ code: "RUNTIME_MISSING", message: expect.stringContaining("no-such-runtime") });
      expect(await subject.inventory()).not.toContain(`sandbox-${spec.run}`);
    });

    it("says that an image is missing", async () => {
      const gone = { ...image, id: `sha256:${"0".repeat(64)}`, ref: "gone:1" };
      await expect(engine.create(specFor(gone))).rejects.toMatchObject({ code: "NO_IMAGE" });
    });

    it("covers the volumes of an image with bounded tmpfs and leaves no volume behind", async () => {
      const before = await subject.inventory();
      const mounts = await shell("grep ' /data ' /proc/mounts", specFor(await found(engine, subject.volumeImageRef)));
      expect(mounts).toMatch(/^tmpfs \/data tmpfs rw,nosuid,nodev.*size=8192k/);
      const anonymous = (await subject.inventory()).filter((entry) => /^[0-9a-f]{64}$/.test(entry) && !before.includes(entry));
      expect(anonymous).toEqual([]);
    });

    it("gives the task no capability, no new privileges, a system call filter and nobody's user", async () => {
      const status = await shell("cat /proc/self/status; id");
      expect(status).toMatch(/CapPrm:\s+0+\nCapEff:\s+0+\nCapBnd:\s+0+\nCapAmb:\s+0+\n/);
      expect(status).toMatch(/NoNewPrivs:\s+1\nSeccomp:\s+2/);
      expect(status).toMatch(/uid=65532\S* gid=65532\S* groups=65532\S*/);
    });

    it("lets the task write to its own bounded places only", async () => {
      const script =
        "for f in /x /run/x /var/tmp/x /dev/x /etc/x /.belljar/x /workspace/x /tmp/x /dev/shm/x; do echo hi 2>/dev/null > $f && echo $f; done";
      expect(await shell(script)).toBe("/workspace/x\n/tmp/x\n/dev/shm/x\n");
      const mounts = await shell("grep -E ' (/workspace|/tmp|/dev/shm) ' /proc/mounts");
      expect(mounts).toMatch(/\/workspace tmpfs rw,nosuid,nodev[^\n]*size=32768k/);
      expect(mounts).toMatch(/\/tmp tmpfs rw,nosuid,nodev[^\n]*size=8192k/);
      expect(mounts).toMatch(/\/dev\/shm tmpfs rw,nosuid,nodev,noexec[^\n]*size=16384k/);
    });

    it("shows the task neither the host's name nor its addresses", async () => {
      const { hostname, networkInterfaces } = await import("node:os");
      const seen = await shell("hostname; cat /etc/hosts /etc/resolv.conf /etc/hostname; echo; ip a");
      expect(seen).toMatch(/^sandbox\n/);
      const addresses = Object.values(networkInterfaces()).flatMap((list) =>
        (list ?? []).filter(({ internal }) => !internal).map(({ address }) => address),
      );
      for (const secret of [hostname(), ...addresses]) expect(seen.split(/[\s/]+/)).not.toContain(secret);
      expect(seen.match(/^\d+: \S+/gm)).toEqual(["1: lo:"]);
    });

    it("limits memory without swap, processes, open files, file size and core dumps", async () => {
      const limits = await shell(
        "cat /proc/self/limits; cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/memory.swap.max /sys/fs/cgroup/pids.max /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory/memory.memsw.limit_in_bytes /sys/fs/cgroup/pids/pids.max 2>/dev/null",
      );
      expect(limits).toMatch(/Max file size\s+33554432\s+33554432/);
      expect(limits).toMatch(/Max core file size\s+0\s+0/);
      expect(limits).toMatch(/Max open files\s+4096\s+4096/);
      expect(limits).toMatch(/\n134217728\n(134217728|0)\n64\n/);
    });

    it("tells what it is made of", async () => {
      const facts = await engine.facts();
      expect(facts).toMatchObject({ name, os: "linux", seccomp: true, limits: { memory: true, pids: true, cpu: true } });
      expect(facts.components.map((component) => component.name)).toContain(name);
      expect(facts.kernel).toMatch(/^\d+\.\d+/);
    });
  });
}

async function found(engine: Engine, ref: string): Promise<Image> {
  const image = await engine.findImage(ref);
  if (image === undefined) throw new Error(`The image ${ref} is not there.`);
  return image;
}

/** The next `bytes` bytes of a stream as text. */
async function read(stream: Duplex, bytes: number): Promise<string> {
  while (true) {
    const chunk: unknown = stream.read(bytes);
    if (Buffer.isBuffer(chunk)) return chunk.toString("utf8");
    if (stream.readableEnded || stream.destroyed) throw new Error("The stream ended early.");
    await Promise.race([once(stream, "readable"), once(stream, "end")]);
  }
}

function runOf(container: Container): string {
  return container.name.slice("sandbox-".length);
}
