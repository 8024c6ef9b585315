import { defineConfig, type UserConfig } from "tsdown";

const ENTRIES = { cli: "src/cli/main.ts", index: "src/index.ts", watchdog: "src/engine/watchdog-process.ts" };

/** What dockerode loads for its own SSH, BuildKit and packing of build contexts, none of which is used here. */
const LEFT_OUT = /^(ssh2|cpu-features|@grpc\/(grpc-js|proto-loader)|protobufjs|tar-fs|@balena\/dockerignore)($|\/)/;

const leaveOut = {
  name: "leave-out",
  resolveId: (id: string) => (LEFT_OUT.test(id) ? "\0left-out" : undefined),
  load: (id: string) => (id === "\0left-out" ? "export default {};" : undefined),
};

/** Node.js reads all of it at every start; names stay, for the traces of errors. */
const WITHOUT_WHITE_SPACE = { compress: false, mangle: false, codegen: { removeWhitespace: true } };

const shared: UserConfig = {
  platform: "node",
  target: "node20.19",
  format: "esm",
  outDir: "dist",
  fixedExtension: false,
  hash: false,
  logLevel: "warn",
  minify: WITHOUT_WHITE_SPACE,
  deps: { onlyBundle: false },
};

export default defineConfig([
  { ...shared, entry: ENTRIES, dts: false, plugins: [leaveOut], clean: ["dist/*.js"] },
  { ...shared, entry: { index: "src/index.ts" }, dts: { emitDtsOnly: true }, clean: ["dist/*.d.ts"] },
]);
