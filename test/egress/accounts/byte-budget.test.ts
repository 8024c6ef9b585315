import { expect, it } from "vitest";
import { createByteBudget } from "../../../src/egress/accounts/byte-budget.ts";

it("allows the last byte and not one more", () => {
  const budget = createByteBudget(10);
  expect([budget.take(9), budget.take(1), budget.exceeded, budget.used]).toEqual([true, true, false, 10]);
  expect([budget.take(0), budget.take(1), budget.exceeded, budget.used]).toEqual([true, false, true, 10]);
});

it("stays exceeded, even for what would have fitted", () => {
  const budget = createByteBudget(10);
  expect([budget.take(11), budget.take(1), budget.take(0), budget.exceeded, budget.used]).toEqual([false, false, false, true, 0]);
});

it("has nothing to give with a limit of 0, and everything without a limit", () => {
  expect(createByteBudget(0).take(1)).toBe(false);
  const unlimited = createByteBudget(undefined);
  expect([unlimited.take(Number.MAX_SAFE_INTEGER), unlimited.exceeded, unlimited.used]).toEqual([true, false, Number.MAX_SAFE_INTEGER]);
});
