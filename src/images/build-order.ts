import type { ImageStore, Progress } from "./image-store.ts";
import type { Recipe } from "./recipe.ts";

/** One image to make from the recipe; `digest` is what its label will say. */
export type BuildOrder = {
  readonly store: ImageStore;
  readonly ref: string;
  readonly recipe: Recipe;
  readonly digest: string;
  readonly onProgress: Progress;
  readonly signal: AbortSignal;
};
