import { SandboxError } from "../core/errors.ts";
import type { BuildOrder } from "./build-order.ts";
import { type Distribution, readDistribution } from "./distribution.ts";
import { buildFromDockerfile } from "./from-dockerfile.ts";
import { buildFromPackages } from "./from-packages.ts";
import type { ImageStore, Progress, StoredImage } from "./image-store.ts";
import { RECIPE_LABEL, type Recipe, readRecipe, recipeDigest, type Source } from "./recipe.ts";

export type BuildRequest = {
  readonly store: ImageStore;
  /** `sandbox/base`, with or without a tag; there is one recipe. */
  readonly name: string;
  /** Where the recipe lies: `images/base` of this package. */
  readonly recipeDirectory: string;
  /** Make it again even when nothing changed. */
  readonly force: boolean;
  readonly onProgress: Progress;
  readonly signal: AbortSignal;
};

/** `source` says where the packages came from; `built` is false when the image was up to date. */
export type BuiltImage = { readonly image: StoredImage; readonly built: boolean; readonly source: Source["kind"]; readonly recipe: string };

/** How long a registry may take to say anything before the distribution's packages are used instead. */
const REGISTRY_ANSWER_MS = 5_000;
const BASE = "sandbox/base";

/**
 * Makes the base image: from its Dockerfile where a registry answers, else straight from the distribution's packages. An image made
 * from the same recipe by either way is kept as it is. Throws `BUILD_FAILED`, and `NO_IMAGE` for a name that has no recipe.
 */
export async function buildImage({ store, name, recipeDirectory, force, onProgress, signal }: BuildRequest): Promise<BuiltImage> {
  const ref = parseName(name);
  const recipe = await readRecipe(recipeDirectory);
  const distribution = await readDistribution();
  const registry: Source = { kind: "registry", from: recipe.from, arch: store.arch };
  const packages: Source | undefined =
    distribution === undefined ? undefined : { kind: "packages", suite: distribution.suite, arch: store.arch };
  const sources = packages === undefined ? [registry] : [registry, packages];
  const current = force ? undefined : await findCurrent(store, { ref, recipe, sources });
  if (current !== undefined) return current;

  const before = await store.find(ref);
  const order = { store, ref, recipe, onProgress, signal };
  const result = await make(order, { registry, packages, distribution });
  if (before !== undefined && before.id !== result.image.id) await store.discard(before.id);
  return result;
}

/** The images that were made from a recipe of ours, newest first. */
export function listImages(store: ImageStore): Promise<readonly StoredImage[]> {
  return store.list(RECIPE_LABEL);
}

function parseName(name: string): string {
  if (name === BASE || name === `${BASE}:latest`) return `${BASE}:latest`;
  throw new SandboxError(
    "USAGE",
    `There is no recipe for the image ${JSON.stringify(name)}.`,
    `Write ${BASE}, the one image that is made here.`,
  );
}

type Sources = { readonly registry: Source; readonly packages: Source | undefined; readonly distribution: Distribution | undefined };

async function make(order: Omit<BuildOrder, "digest">, { registry, packages, distribution }: Sources): Promise<BuiltImage> {
  const { recipe, onProgress } = order;
  onProgress(`Asking the registry for ${recipe.from}`);
  if (await haveFrom(order)) {
    const digest = recipeDigest(recipe, registry);
    return { image: await buildFromDockerfile({ ...order, digest }), built: true, source: "registry", recipe: digest };
  }
  onProgress("No registry answers; taking the distribution's own packages");
  if (distribution === undefined || packages === undefined) throw noSource(recipe.from);
  const digest = recipeDigest(recipe, packages);
  return { image: await buildFromPackages({ ...order, digest, distribution }), built: true, source: "packages", recipe: digest };
}

type Wanted = { readonly ref: string; readonly recipe: Recipe; readonly sources: readonly Source[] };

async function findCurrent(store: ImageStore, { ref, recipe, sources }: Wanted): Promise<BuiltImage | undefined> {
  const image = await store.find(ref);
  if (image === undefined) return undefined;
  for (const source of sources) {
    const digest = recipeDigest(recipe, source);
    if (image.labels[RECIPE_LABEL] === digest) return { image, built: false, source: source.kind, recipe: digest };
  }
  return undefined;
}

async function haveFrom({ store, recipe, onProgress, signal }: Omit<BuildOrder, "digest">): Promise<boolean> {
  if ((await store.find(recipe.from)) !== undefined) return true;
  return store.pull(recipe.from, { answerWithin: REGISTRY_ANSWER_MS, onProgress, signal });
}

function noSource(from: string): SandboxError {
  return new SandboxError(
    "BUILD_FAILED",
    `The base image cannot be made: no registry gives ${from}, and this machine is neither Debian nor Ubuntu.`,
    `Give the engine access to a registry (docker pull ${from}), or name another image with --image.`,
  );
}
