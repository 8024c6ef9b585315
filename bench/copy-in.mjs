import { randomBytes } from "node:crypto";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { docker, removeContainer } from "../scripts/bench-peer.mjs";

const KIB = 1024;
const DIRECTORIES = 50;
const FILES_EACH = 100;
const LARGE_FILES = 4;
const LARGE_BYTES = 50_000_000;

/** 5,000 files of 1 to 4 KiB. */
async function writeSmallFiles(root) {
  const bytes = randomBytes(4 * KIB);
  for (let at = 0; at < DIRECTORIES; at += 1) {
    const directory = join(root, `directory-${at}`);
    await mkdir(directory);
    const sizes = Array.from({ length: FILES_EACH }, (_, index) => KIB + (((at * FILES_EACH + index) * 709) % (3 * KIB)));
    await Promise.all(sizes.map((size, index) => writeFile(join(directory, `file-${index}.txt`), bytes.subarray(0, size))));
  }
}

/** 200 MB. */
async function writeLargeFiles(root) {
  for (let at = 0; at < LARGE_FILES; at += 1) await writeFile(join(root, `file-${at}.bin`), randomBytes(LARGE_BYTES));
}

/** Both sides copy the same directory into a new container each time; only the copying is timed. */
async function open({ image, product }, writeFiles) {
  const root = await mkdtemp(join(tmpdir(), "belljar-bench-files-"));
  await writeFiles(root);
  return {
    a: { name: "scan and copy-in", run: () => copyIntoSandbox({ image, product, root }) },
    b: { name: "docker cp into a stopped container", run: () => copyIntoContainer({ image, root }) },
    close: () => rm(root, { recursive: true }),
  };
}

async function copyIntoSandbox({ image, product, root }) {
  const { record, plan, session, close } = await product.openSandbox({ image, command: ["true"] });
  try {
    const limits = { maxBytes: record.task.quotas.diskBytes, maxEntries: 100_000 };
    const from = performance.now();
    const workspace = await product.scanWorkspace(root, { exclude: [], withGit: false, ...limits });
    await product.copyIn(record, { ...plan, workspace }, session);
    const elapsed = performance.now() - from;
    if (record.refused.length > 0) throw new Error(`Copy-in refused ${JSON.stringify(record.refused[0])}`);
    return elapsed;
  } finally {
    await close();
  }
}

/** Without the posture, which does not let `docker cp` write at all. */
async function copyIntoContainer({ image, root }) {
  const id = await docker("create", "--network", "none", image, "true");
  try {
    const from = performance.now();
    await docker("cp", "--quiet", root, `${id}:/tmp`);
    return performance.now() - from;
  } finally {
    await removeContainer(id);
  }
}

export const benchmarks = [
  {
    name: "copy-in-small",
    what: `copy-in of ${DIRECTORIES * FILES_EACH} small files`,
    target: { of: "ratio", atMost: 1.0 },
    open: (bench) => open(bench, writeSmallFiles),
  },
  {
    name: "copy-in-large",
    what: `copy-in of ${(LARGE_FILES * LARGE_BYTES) / 1e6} MB in ${LARGE_FILES} files`,
    pairs: 30,
    target: { of: "ratio", atMost: 1.2 },
    open: (bench) => open(bench, writeLargeFiles),
  },
];
