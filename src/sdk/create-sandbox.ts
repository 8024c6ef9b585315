import { resolveSandbox } from "../policy/resolve-task.ts";
import { openSandbox, type Sandbox } from "../run/open-sandbox.ts";
import { openCaller } from "./caller.ts";
import { interruptsOf } from "./interrupts.ts";
import { judgeOptions, judgeValue } from "./judge-options.ts";
import { chosenEngine } from "./open-engine.ts";
import { needed, TEXTS } from "./option-kinds.ts";
import { EXEC_SHAPE, LIST_SHAPE, READ_SHAPE, SANDBOX_SHAPE, WRITE_SHAPE } from "./option-shapes.ts";
import { requestOf, type SandboxOptions } from "./options.ts";

/**
 * Opens one hardened container for many commands: `await using box = await createSandbox({ image, memory: "256m" })`. It is gone when it is closed, when its
 * scope ends, and when the process dies. Throws a `SandboxError` for bad input (`USAGE`, `BAD_*`) and for what stands in the way (`NO_ENGINE`, `NO_IMAGE`, …);
 * nothing is left then.
 */
export async function createSandbox(options: SandboxOptions = {}): Promise<Sandbox> {
  judgeOptions("createSandbox", SANDBOX_SHAPE, options);
  const { signal, ...rest } = options;
  const task = resolveSandbox(requestOf(rest));
  const chosen = await chosenEngine(options);
  const caller = openCaller();
  const interrupts = interruptsOf(signal);
  const release = async (): Promise<void> => {
    interrupts[Symbol.dispose]();
    caller[Symbol.dispose]();
    await chosen[Symbol.asyncDispose]();
  };
  try {
    const { secretSources, roots } = caller;
    const box = await openSandbox(task, { engine: chosen.engine, keepOutput: true, secretSources, roots, interrupts });
    return handleOf(box, { release, given: interrupts.gentle });
  } catch (error) {
    await release();
    throw error;
  }
}

type Behind = {
  readonly release: () => Promise<void>;
  /** Aborts when the caller gives the sandbox up. */
  readonly given: AbortSignal;
};

/** The sandbox as a program gets it: what it is given is looked at first, and its end lets go of everything that it was opened with. */
function handleOf(box: Sandbox, { release, given }: Behind): Sandbox {
  let released: Promise<void> | undefined;
  const close: Sandbox["close"] = async () => {
    const closed = await box.close();
    released ??= release();
    await released;
    return closed;
  };
  const giveUp = (): void => void close().catch(() => undefined);
  if (given.aborted) giveUp();
  else given.addEventListener("abort", giveUp, { once: true });
  return {
    ...box,
    async exec(argv, options = {}) {
      judgeValue("The command of exec", needed(TEXTS), argv);
      judgeOptions("exec", EXEC_SHAPE, options);
      return box.exec(argv, options);
    },
    async write(path, content, options = {}) {
      judgeOptions("write", WRITE_SHAPE, options);
      return box.write(path, content, options);
    },
    async read(path, options = {}) {
      judgeOptions("read", READ_SHAPE, options);
      return box.read(path, options);
    },
    async list(path, options = {}) {
      judgeOptions("list", LIST_SHAPE, options);
      return box.list(path, options);
    },
    close,
    [Symbol.asyncDispose]: async () => void (await close()),
  };
}
