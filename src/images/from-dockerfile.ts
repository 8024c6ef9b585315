import { buffer } from "node:stream/consumers";
import { pack } from "tar-stream";
import type { BuildOrder } from "./build-order.ts";
import type { StoredImage } from "./image-store.ts";
import { RECIPE_LABEL, type Recipe } from "./recipe.ts";

/** Lets the engine build the recipe's Dockerfile. Throws `BUILD_FAILED`. */
export async function buildFromDockerfile({ store, ref, recipe, digest, onProgress, signal }: BuildOrder): Promise<StoredImage> {
  onProgress(`Building ${ref} on ${recipe.from}`);
  return store.buildFromContext(await packContext(recipe), {
    ref,
    buildArgs: { BASE: recipe.from },
    labels: { [RECIPE_LABEL]: digest },
    onProgress,
    signal,
  });
}

function packContext(recipe: Recipe): Promise<Buffer> {
  const context = pack();
  context.entry({ name: "Dockerfile" }, recipe.dockerfile);
  context.entry({ name: "packages.txt" }, `${recipe.packages.join("\n")}\n`);
  context.entry({ name: "finish.sh", mode: 0o755 }, recipe.finish);
  context.finalize();
  return buffer(context);
}
