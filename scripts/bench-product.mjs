/** The steps of the product for what is measured inside one long-lived process, over one warm connection. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { ROOT } from "./prepare.mjs";

/** Modules of src/ that are bundled as they are in the package, one file each. */
const ENTRIES = {
  connect: "src/engine/find-engine.ts",
  pool: "src/engine/pool.ts",
  ids: "src/core/ids.ts",
  "resolve-task": "src/policy/resolve-task.ts",
  "run-task": "src/run/run-task.ts",
  record: "src/run/record.ts",
  decide: "src/run/decide.ts",
  sandbox: "src/run/sandbox.ts",
  "copy-in": "src/run/copy-in.ts",
  "scan-workspace": "src/files/scan-workspace.ts",
};

/** Bundles the product into a directory of its own and connects to the engine that `DOCKER_HOST` names. */
export async function openProduct() {
  const directory = await mkdtemp(join(tmpdir(), "belljar-bench-"));
  const removeBundle = () => rm(directory, { recursive: true, force: true });
  try {
    const steps = await bundle(directory);
    const engine = await steps.connectEngine({
      host: process.env.DOCKER_HOST,
      env: {},
      home: homedir(),
      uid: process.getuid(),
      guestDirectory: join(ROOT, "dist/guest"),
      seccompFile: join(ROOT, "images/seccomp.json"),
      watchdogScript: join(directory, "watchdog.js"),
    });
    const close = async () => {
      await engine.close();
      await removeBundle();
    };
    return { ...steps, openSandbox: (request) => openSandbox({ ...steps, engine }, request), engine, close };
  } catch (error) {
    await removeBundle();
    throw error;
  }
}

async function bundle(directory) {
  // Loaded here: in a fresh clone it is installed only by now.
  const { build } = await import("tsdown");
  await build({ cwd: ROOT, entry: ENTRIES, outDir: directory, clean: false });
  await writeFile(join(directory, "package.json"), '{ "type": "module" }\n');
  const modules = await Promise.all(Object.keys(ENTRIES).map((name) => import(join(directory, `${name}.js`))));
  return Object.assign({}, ...modules);
}

/** A live sandbox and the session with its guest, made by the same steps as that of a run. */
async function openSandbox(product, request) {
  const { engine, resolveTask, openRecord, createRunId, decide, createSandbox, startSandbox, destroySandbox } = product;
  const context = { engine, keepOutput: false };
  const record = openRecord(resolveTask(request), { run: createRunId(), keepOutput: false, onEvent: undefined });
  try {
    const plan = await decide(record, context);
    await createSandbox(record, plan, context);
    const session = await startSandbox(record);
    return { record, plan, session, close: () => destroySandbox(record) };
  } catch (error) {
    await destroySandbox(record);
    throw error;
  }
}
