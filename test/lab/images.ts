import { createHash } from "node:crypto";
import { askEngine } from "./engine-api.ts";
import { busyboxEntries, compile, type Entry, muslEntries, packRootfs } from "./rootfs.ts";

/** The images that the tests run: each holds as little as its question needs. */
export const TEST_IMAGES = {
  /** busybox, nothing else. */
  busybox: "sandbox-test/busybox",
  /** One static program, `/probe`: no shell, no C library, no directories. */
  scratch: "sandbox-test/scratch",
  /** musl's loader, busybox, and `/usr/bin/resolve`, which is linked dynamically. */
  musl: "sandbox-test/musl",
  /** Debian or Ubuntu: the product's own base image. */
  debian: "sandbox/base",
  /** An image that asks for what it should not get, in its config and in its files. */
  hostile: "sandbox-test/hostile",
  /** Declares a volume where none can be covered: below `/proc`. */
  uncoverable: "sandbox-test/uncoverable",
} as const;

type TestImage = { readonly ref: string; readonly entries: readonly Entry[]; readonly config: readonly string[] };

const LABEL = "sandbox-test.recipe";
const PATH = "ENV PATH=/usr/bin:/bin";

/** Makes the small test images on the engine, each only when it is missing or its contents changed. */
export async function buildTestImages(): Promise<void> {
  const busybox = await busyboxEntries();
  const musl = await muslEntries();
  const resolve: Entry = { path: "usr/bin/resolve", content: await compile("resolve", []), mode: 0o755 };
  const images: readonly TestImage[] = [
    { ref: TEST_IMAGES.busybox, entries: busybox, config: [PATH] },
    { ref: TEST_IMAGES.scratch, entries: [{ path: "probe", content: await compile("probe", ["-static"]), mode: 0o755 }], config: [] },
    { ref: TEST_IMAGES.musl, entries: [...musl, ...busybox, resolve], config: [PATH] },
    { ref: TEST_IMAGES.hostile, entries: await hostileEntries([...musl, ...busybox, resolve]), config: HOSTILE_CONFIG },
    { ref: TEST_IMAGES.uncoverable, entries: busybox, config: [PATH, "VOLUME /proc/volume"] },
  ];
  for (const image of images) await ensureImage(image);
}

/** Everything in an image's config that could loosen a container which does not override it. */
const HOSTILE_CONFIG = [
  "ENV PATH=/evil:/usr/bin:/bin LD_PRELOAD=/evil/preloaded.so LD_LIBRARY_PATH=/evil BASH_ENV=/evil/rc ENV=/evil/rc NODE_OPTIONS=--require=/evil/x.js",
  "USER root",
  "WORKDIR /proc/self",
  "VOLUME /data",
  "VOLUME /workspace",
  "EXPOSE 80",
  'ENTRYPOINT ["/bin/sh", "-c", "echo the entrypoint of the image ran"]',
  'CMD ["the command of the image"]',
  "HEALTHCHECK --interval=1s CMD touch /data/healthy",
  'LABEL "sandbox.run"="00000000000000000000" "sandbox.version"="1" "sandbox.keep"="true" "sandbox.owner.pid"="1"',
];

async function hostileEntries(base: readonly Entry[]): Promise<readonly Entry[]> {
  const groups = ["root:x:0:sandbox", "shadow:x:42:sandbox", "docker:x:999:sandbox", "sandbox:x:65532:", "wheel:x:10:sandbox"];
  return [
    ...base,
    { path: "etc/group", content: `${groups.join("\n")}\n` },
    { path: "etc/shadow", content: "root:*:1::::::\n", mode: 0o640 },
    { path: "workspace", linkTo: "etc" },
    { path: "data", directory: true, mode: 0o777 },
    { path: "bin/become-root", content: await compile("become-root", ["-static"]), mode: 0o4755 },
    { path: "evil", directory: true },
    { path: "evil/true", content: "#!/bin/sh\necho the image's true ran\n", mode: 0o755 },
    { path: "evil/rc", content: "echo the image's start-up file ran\n" },
    { path: "evil/preloaded.so", content: await compile("preloaded", ["-shared", "-fPIC"]), mode: 0o755 },
  ];
}

async function ensureImage({ ref, entries, config }: TestImage): Promise<void> {
  const tar = await packRootfs(entries);
  const recipe = `sha256:${createHash("sha256").update(tar).update(JSON.stringify(config)).digest("hex")}`;
  const filters = encodeURIComponent(JSON.stringify({ reference: [ref], label: [`${LABEL}=${recipe}`] }));
  const { body } = await askEngine({ path: `/images/json?filters=${filters}` });
  if (Array.isArray(body) && body.length > 0) return;
  const query = new URLSearchParams({ fromSrc: "-", repo: ref, tag: "latest" });
  for (const change of [...config, `LABEL ${LABEL}=${recipe}`]) query.append("changes", change);
  const { status, body: answer } = await askEngine({ method: "POST", path: `/images/create?${query.toString()}`, tar });
  const said = typeof answer === "string" ? answer : JSON.stringify(answer);
  if (status !== 200 || said.includes('"error"')) throw new Error(`The test image ${ref} could not be made: ${said}`);
}
