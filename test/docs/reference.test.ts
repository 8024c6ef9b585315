import { expect, it } from "vitest";
import { renderReference } from "./reference.ts";

it("docs/reference.md says what the flag tables, the error table and the schemas say", async () => {
  await expect(renderReference()).toMatchFileSnapshot("../../docs/reference.md");
});
