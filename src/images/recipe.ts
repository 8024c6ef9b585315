import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { SandboxError, systemCode } from "../core/errors.ts";

/** The label that ties an image to the recipe that it was made from. */
export const RECIPE_LABEL = "sandbox.recipe";

/** The base image as text: everything that decides what will be in it, but for the distribution's own packages. */
export type Recipe = {
  readonly directory: string;
  readonly dockerfile: string;
  readonly finish: string;
  readonly packages: readonly string[];
  /** The image that the Dockerfile starts from. */
  readonly from: string;
};

/** Where the packages come from; each makes another image of the same recipe. */
export type Source =
  | { readonly kind: "registry"; readonly from: string; readonly arch: string }
  | { readonly kind: "packages"; readonly suite: string; readonly arch: string };

const FORMAT = 1;
const FILES = { dockerfile: "Dockerfile", finish: "finish.sh", packages: "packages.txt" } as const;

/** Reads the recipe from `directory` (`images/base` of this package). Throws `BUILD_FAILED`. */
export async function readRecipe(directory: string): Promise<Recipe> {
  const [dockerfile, finish, packages] = await Promise.all([
    readPart(directory, FILES.dockerfile),
    readPart(directory, FILES.finish),
    readPart(directory, FILES.packages),
  ]);
  const from = /^ARG BASE=(\S+)$/m.exec(dockerfile)?.[1];
  if (from === undefined) throw unusable(join(directory, FILES.dockerfile), "it has no line ARG BASE=IMAGE");
  return { directory, dockerfile, finish, packages: packages.split("\n").filter((line) => line !== ""), from };
}

/** `sha256:…` over the recipe and the source: it changes exactly when the image has to be made again. */
export function recipeDigest(recipe: Recipe, source: Source): string {
  const parts = [FORMAT, recipe.dockerfile, recipe.finish, recipe.packages, Object.entries(source).sort()];
  return `sha256:${createHash("sha256").update(JSON.stringify(parts)).digest("hex")}`;
}

async function readPart(directory: string, name: string): Promise<string> {
  const path = join(directory, name);
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    throw unusable(path, `it cannot be read (${systemCode(error) ?? "unknown error"})`);
  }
}

function unusable(path: string, why: string): SandboxError {
  return new SandboxError("BUILD_FAILED", `The recipe ${path} cannot be used: ${why}.`, "Install the package again.");
}
