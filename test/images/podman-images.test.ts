import { Readable } from "node:stream";
import { expect, it, onTestFinished } from "vitest";
import { openImageStore } from "../lab/image-store.ts";
import { startPodman } from "../lab/podman.ts";
import { packRootfs } from "../lab/rootfs.ts";

const signal = new AbortController().signal;
const config = { env: { PATH: "/bin" }, workdir: "/work", command: ["/bin/x"], labels: { "sandbox-test.a": "b c" } };

it("imports, finds, lists and discards images on Podman as on Docker", async () => {
  await using lab = await startPodman();
  const { store, close } = await openImageStore(lab.host.slice("unix://".length));
  onTestFinished(close);
  const ref = "sandbox/imported:latest";
  const make = async (content: string): Promise<string> => {
    const rootfs = await packRootfs([{ path: "bin/x", content, mode: 0o755 }]);
    const image = await store.importRootfs(Readable.from([rootfs]), { ref, config, signal });
    expect(image).toMatchObject({ ref, labels: config.labels });
    return image.id;
  };
  const first = await make("one");
  await store.discard(first);
  expect((await store.find(ref))?.id).toBe(first);
  const second = await make("two");
  await store.discard(first);
  expect(await store.find(first)).toBeUndefined();
  const listed = await store.list("sandbox-test.a");
  expect(listed.map(({ id }) => id.replace("sha256:", ""))).toEqual([second.replace("sha256:", "")]);
  expect(await store.pull("127.0.0.1:1/some/image:1", { answerWithin: 10_000, onProgress: () => undefined, signal })).toBe(false);
});
