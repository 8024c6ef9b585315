import { cp, writeFile } from "node:fs/promises";
import { expect, it } from "vitest";
import { readRecipe, recipeDigest, type Source } from "../../src/images/recipe.ts";
import { tempDirectory } from "../lab/temp-directory.ts";

const PACKAGES: Source = { kind: "packages", suite: "bookworm", arch: "amd64" };

it("has one digest for one recipe and source, and another as soon as anything in them differs", async () => {
  await using directory = await tempDirectory();
  await cp("images/base", directory.path, { recursive: true });
  const recipe = await readRecipe(directory.path);
  const digest = recipeDigest(recipe, PACKAGES);
  expect(digest).toMatch(/^sha256:[0-9a-f]{64}$/);
  expect(recipeDigest(await readRecipe("images/base"), PACKAGES)).toBe(digest);

  const others = new Set([
    recipeDigest(recipe, { ...PACKAGES, suite: "trixie" }),
    recipeDigest(recipe, { ...PACKAGES, arch: "arm64" }),
    recipeDigest(recipe, { kind: "registry", from: recipe.from, arch: "amd64" }),
    recipeDigest({ ...recipe, packages: [...recipe.packages, "vim"] }, PACKAGES),
    recipeDigest({ ...recipe, finish: `${recipe.finish}\n` }, PACKAGES),
    recipeDigest({ ...recipe, dockerfile: `${recipe.dockerfile}\n` }, PACKAGES),
  ]);
  expect(others.size).toBe(6);
  expect(others).not.toContain(digest);
});

it("is refused with the path of what is missing or unusable in it", async () => {
  await using directory = await tempDirectory();
  await expect(readRecipe(directory.path)).rejects.toMatchObject({
    code: "BUILD_FAILED",
    message: expect.stringContaining(directory.path),
  });
  await cp("images/base", directory.path, { recursive: true });
  await writeFile(directory.join("Dockerfile"), "FROM scratch\n");
  await expect(readRecipe(directory.path)).rejects.toMatchObject({
    code: "BUILD_FAILED",
    message: expect.stringContaining("ARG BASE=IMAGE"),
  });
});
