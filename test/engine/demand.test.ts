import { expect, it } from "vitest";
import { createDemand } from "../../src/engine/demand.ts";

it("remembers the most in use at once for this period and the last one", () => {
  let time = 0;
  const demand = createDemand(10, () => time);
  expect(demand.peak()).toBe(0);
  for (let count = 0; count < 3; count += 1) demand.enter();
  for (let count = 0; count < 3; count += 1) demand.leave();
  demand.enter();
  expect(demand.peak()).toBe(3);
  time = 19;
  expect(demand.peak()).toBe(3);
  time = 20;
  expect(demand.peak()).toBe(1);
  demand.leave();
  time = 39;
  expect(demand.peak()).toBe(1);
  time = 40;
  expect(demand.peak()).toBe(0);
  time = 1000;
  expect(demand.peak()).toBe(0);
});
