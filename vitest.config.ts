import { defineConfig } from "vitest/config";

/** Tests that need an engine; everything else runs anywhere. */
const ENGINE = ["test/{engine,images,run,integration,security,e2e}/**/*.test.ts"];
/** Tests that compare what the whole engine holds before and after: they run alone, at the end. */
const ALONE = ["test/security/faults*.test.ts", "test/integration/soak*.test.ts", "test/engine/reaper.test.ts"];

const shared = { pool: "forks", maxWorkers: 2, testTimeout: 30_000, hookTimeout: 120_000, retry: 0 } as const;

export default defineConfig({
  test: {
    reporters: ["default", "./test/lab/closing-line.ts"],
    projects: [
      { test: { ...shared, name: "unit", include: ["test/**/*.test.ts"], exclude: ENGINE } },
      { test: { ...shared, name: "engine", include: ENGINE, exclude: ALONE, globalSetup: "test/lab/setup.ts" } },
      {
        test: {
          ...shared,
          name: "alone",
          include: ALONE,
          globalSetup: "test/lab/setup.ts",
          maxWorkers: 1,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
});
