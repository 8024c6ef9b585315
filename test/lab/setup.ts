import { fileURLToPath } from "node:url";
import { buildImage } from "../../src/images/build-image.ts";
import { requireEngine } from "./engine-api.ts";
import { openImageStore } from "./image-store.ts";
import { buildTestImages } from "./images.ts";

/** Once before all tests that need an engine: it answers, and the images are there. */
export default async function setup(): Promise<void> {
  await requireEngine();
  await buildTestImages();
  await buildBaseImage();
}

async function buildBaseImage(): Promise<void> {
  const { store, close } = await openImageStore();
  try {
    await buildImage({
      store,
      name: "sandbox/base",
      recipeDirectory: fileURLToPath(new URL("../../images/base", import.meta.url)),
      force: false,
      onProgress: (line) => process.stderr.write(`base image: ${line}\n`),
      signal: AbortSignal.timeout(300_000),
    });
  } finally {
    close();
  }
}
