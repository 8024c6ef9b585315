import { once } from "node:events";
import { createServer } from "node:net";
import { Readable } from "node:stream";
import { buffer } from "node:stream/consumers";
import { pack } from "tar-stream";
import { beforeAll, expect, it, onTestFinished } from "vitest";
import type { ImageStore } from "../../src/images/image-store.ts";
import { askEngine, dockerCli } from "../lab/engine-api.ts";
import { openImageStore } from "../lab/image-store.ts";
import { TEST_IMAGES } from "../lab/images.ts";
import { packRootfs } from "../lab/rootfs.ts";

let store: ImageStore;
beforeAll(async () => {
  const opened = await openImageStore();
  store = opened.store;
  return () => opened.close();
});

const signal = new AbortController().signal;
const onProgress = (): undefined => undefined;

/** A name for one test; whatever gets it is removed afterwards. */
function imageName(name: string): string {
  const ref = `sandbox-test/${name}-${process.pid}:latest`;
  onTestFinished(async () => void (await askEngine({ method: "DELETE", path: `/images/${ref}` })));
  return ref;
}

const config = {
  env: { PATH: "/bin", QUOTED: 'a "b" $c \\d' },
  workdir: "/work",
  command: ["/bin/x", "a b"],
  labels: { "sandbox-test.a": 'x "y" = z' },
};

it("imports a root file system with the config that it was given", async () => {
  const ref = imageName("imported");
  const rootfs = await packRootfs([{ path: "bin/x", content: "x", mode: 0o755 }]);
  const image = await store.importRootfs(Readable.from([rootfs]), { ref, config, signal });
  expect(image).toMatchObject({ ref, labels: config.labels });
  const inspected: unknown = JSON.parse(await dockerCli(["image", "inspect", "--format", "{{json .Config}}", ref]));
  expect(inspected).toMatchObject({ WorkingDir: "/work", Cmd: ["/bin/x", "a b"] });
});

it("makes no image from an archive that breaks off, and passes the reason on", async () => {
  const ref = imageName("broken");
  async function* breaking(): AsyncGenerator<Buffer> {
    yield await packRootfs([{ path: "first", content: Buffer.alloc(1024 * 1024) }]);
    throw new Error("the disk caught fire");
  }
  await expect(store.importRootfs(Readable.from(breaking()), { ref, config, signal })).rejects.toThrow(/the disk caught fire/);
  expect(await store.find(ref)).toBeUndefined();
});

it("makes no image from what is no archive", async () => {
  const ref = imageName("nonsense");
  const nonsense = Readable.from([Buffer.alloc(4096, "nonsense")]);
  await expect(store.importRootfs(nonsense, { ref, config, signal })).rejects.toMatchObject({ code: "BUILD_FAILED" });
  expect(await store.find(ref)).toBeUndefined();
});

async function context(dockerfile: string): Promise<Buffer> {
  const archive = pack();
  archive.entry({ name: "Dockerfile" }, dockerfile);
  archive.finalize();
  return buffer(archive);
}

it("builds a Dockerfile with its arguments and labels", async () => {
  const ref = imageName("built");
  const steps: string[] = [];
  const image = await store.buildFromContext(await context("ARG BASE\nFROM ${BASE}\nRUN echo hello > /hello\n"), {
    ref,
    buildArgs: { BASE: TEST_IMAGES.busybox },
    labels: { "sandbox-test.built": "yes" },
    onProgress: (line) => steps.push(line),
    signal,
  });
  expect(image.labels).toMatchObject({ "sandbox-test.built": "yes" });
  expect(await dockerCli(["run", "--rm", "--network", "none", ref, "cat", "/hello"])).toBe("hello\n");
  expect(steps).toContainEqual(expect.stringMatching(/^Step \d+\/\d+ : RUN echo hello/));
});

it("says which step of a build failed, with what it said before", async () => {
  const ref = imageName("failing");
  const failing = await context(`FROM ${TEST_IMAGES.busybox}\nRUN echo about to fail && exit 3\n`);
  const building = store.buildFromContext(failing, { ref, buildArgs: {}, labels: {}, onProgress, signal });
  await expect(building).rejects.toMatchObject({
    code: "BUILD_FAILED",
    message: expect.stringMatching(/returned a non-zero code: 3|exit status 3/),
    cause: expect.objectContaining({ message: expect.stringContaining("about to fail") }),
  });
  expect(await store.find(ref)).toBeUndefined();
});

it("gives a silent registry up after the time that it was given", async () => {
  const silent = createServer(() => undefined).listen(0, "127.0.0.1");
  await once(silent, "listening");
  onTestFinished(() => void silent.close());
  const address = silent.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  const started = performance.now();
  expect(await store.pull(`127.0.0.1:${port}/some/image:1`, { answerWithin: 1_000, onProgress, signal })).toBe(false);
  expect(performance.now() - started).toBeLessThan(5_000);
});

it("takes a registry that is not there for a plain no", async () => {
  expect(await store.pull("127.0.0.1:1/some/image:1", { answerWithin: 10_000, onProgress, signal })).toBe(false);
});

it("gives a pull up when it is told to", async () => {
  const aborted = AbortSignal.abort();
  await expect(store.pull("127.0.0.1:1/some/image:1", { answerWithin: 10_000, onProgress, signal: aborted })).rejects.toMatchObject({
    code: "INTERRUPTED",
  });
});
