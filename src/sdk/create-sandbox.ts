import { resolveSandbox } from "../policy/resolve-task.ts";
import { openSandbox, type Sandbox } from "../run/open-sandbox.ts";
import { openCaller } from "./caller.ts";
import { chosenEngine } from "./open-engine.ts";
import { requestOf, type SandboxOptions } from "./options.ts";

/**
 * Opens one hardened container for many commands: `await using box = await createSandbox({ image, memory: "256m" })`. It is gone when it is closed, when its
 * scope ends, and when the process dies. Throws a `SandboxError` for bad input (`BAD_*`) and for what stands in the way (`NO_ENGINE`, `NO_IMAGE`, …); nothing
 * is left then.
 */
export async function createSandbox(options: SandboxOptions = {}): Promise<Sandbox> {
  const task = resolveSandbox(requestOf(options));
  const chosen = await chosenEngine(options);
  const caller = openCaller();
  const release = async (): Promise<void> => {
    caller[Symbol.dispose]();
    await chosen[Symbol.asyncDispose]();
  };
  try {
    const { secretSources, roots } = caller;
    const box = await openSandbox(task, { engine: chosen.engine, keepOutput: true, secretSources, roots });
    const close: Sandbox["close"] = async () => {
      const closed = await box.close();
      await release();
      return closed;
    };
    return { ...box, close, [Symbol.asyncDispose]: async () => void (await close()) };
  } catch (error) {
    await release();
    throw error;
  }
}
