import { homedir } from "node:os";
import { PACKAGE_FILES } from "../core/package-files.ts";
import { connectEngine } from "../engine/find-engine.ts";
import { createPool } from "../engine/pool.ts";
import type { Engine } from "../engine/port.ts";
import { pruneDeadOwners } from "../engine/reaper.ts";
import { callerEnvironment } from "./caller.ts";
import { judgeOptions } from "./judge-options.ts";
import { ENGINE_SHAPE } from "./option-shapes.ts";
import type { EngineChoice, EngineOptions } from "./options.ts";

/**
 * Connects to an engine for many runs and sandboxes; disposing of it closes the connection and removes what was kept ready, and what a process that died has
 * left is removed at the start. Throws `USAGE`, `NO_ENGINE` and the other `ENGINE_*`.
 */
export async function openEngine(options: EngineOptions = {}): Promise<Engine & AsyncDisposable> {
  judgeOptions("openEngine", ENGINE_SHAPE, options);
  const { host, pool = 0, onWarning } = options;
  const engine = await connectEngine({
    ...PACKAGE_FILES,
    host,
    env: callerEnvironment(),
    home: homedir(),
    uid: process.getuid?.() ?? 0,
    onWarning,
  });
  pruneDeadOwners(engine).catch(() => undefined);
  try {
    const ready = createPool(engine, { max: pool });
    return {
      ...(pool === 0 ? engine : ready),
      async [Symbol.asyncDispose]() {
        await ready[Symbol.asyncDispose]();
        engine.close();
      },
    };
  } catch (error) {
    engine.close();
    throw error;
  }
}

/** The engine that was chosen; disposing of it closes one that was opened for this use alone. */
export async function chosenEngine({ host, engine }: EngineChoice): Promise<{ readonly engine: Engine } & AsyncDisposable> {
  if (engine !== undefined) return { engine, [Symbol.asyncDispose]: () => Promise.resolve() };
  const own = await openEngine(host === undefined ? {} : { host });
  return { engine: own, [Symbol.asyncDispose]: async () => own[Symbol.asyncDispose]() };
}
