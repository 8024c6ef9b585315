import { defineConfig, globalIgnores } from "eslint/config";
import tseslint from "typescript-eslint";

const PROCESS_IN_CLI_ONLY = "Read it in src/cli or src/sdk/caller.ts and hand it down: nothing below reaches for the process.";

export default defineConfig(
  globalIgnores(["dist/", "coverage/", "sandbox-out/", "bench/results/"]),
  { linterOptions: { reportUnusedDisableDirectives: "error" } },
  {
    files: ["**/*.ts"],
    extends: [tseslint.configs.strictTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      "@typescript-eslint/consistent-type-imports": ["error", { fixStyle: "inline-type-imports" }],
      "@typescript-eslint/no-confusing-void-expression": ["error", { ignoreArrowShorthand: true, ignoreVoidOperator: true }],
      "@typescript-eslint/no-meaningless-void-operator": "off",
      "@typescript-eslint/no-unnecessary-condition": ["error", { allowConstantLoopConditions: "only-allowed-literals" }],
      "@typescript-eslint/no-unused-vars": ["error", { argsIgnorePattern: "^_", varsIgnorePattern: "^_" }],
      "@typescript-eslint/restrict-template-expressions": ["error", { allowNumber: true }],
      "@typescript-eslint/switch-exhaustiveness-check": ["error", { considerDefaultExhaustiveForUnions: true }],
      eqeqeq: "error",
      "max-depth": ["error", 4],
      "max-params": ["error", 3],
    },
  },
  {
    files: ["src/**/*.ts"],
    ignores: ["src/cli/**", "src/sdk/caller.ts"],
    rules: {
      "no-restricted-properties": [
        "error",
        { object: "process", property: "env", message: PROCESS_IN_CLI_ONLY },
        { object: "process", property: "exit", message: PROCESS_IN_CLI_ONLY },
      ],
      "no-restricted-imports": [
        "error",
        { paths: [{ name: "node:process", importNames: ["env", "exit", "default"], message: PROCESS_IN_CLI_ONLY }] },
      ],
    },
  },
  {
    files: ["test/**/*.ts"],
    rules: { "@typescript-eslint/no-unsafe-assignment": "off", "max-params": "off" },
  },
);
