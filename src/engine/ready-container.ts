import type { Duplex } from "node:stream";
import { SandboxError } from "../core/errors.ts";
import type { Container, ContainerSpec, Engine } from "./port.ts";

/** A container that was started ahead of need: its guest has spoken and waits for an answer. Nothing of any task is inside. */
export type ReadyContainer = {
  readonly spec: ContainerSpec;
  /** As a new one of that spec, for one use: attaching and starting it ask nothing of the engine. */
  handOut(): Container;
  /** Whether its end was seen. */
  isLost(): boolean;
  /** Settles when its end is seen before it is handed out. */
  readonly lost: Promise<void>;
  destroy(): Promise<unknown>;
};

/** How long a guest may take to say its first word. */
const FIRST_WORD_MS = 10_000;

/** Creates, attaches and starts the container of `spec`, and waits for its guest's first word. Leaves nothing when that fails. */
export async function makeReady(engine: Engine, spec: ContainerSpec): Promise<ReadyContainer> {
  const container = await engine.create(spec);
  try {
    const listener = listen(await container.attach());
    await container.start();
    await listener.firstWord;
    return {
      spec,
      lost: listener.lost,
      isLost: listener.isLost,
      destroy: () => container.destroy(),
      handOut: () => handOut(container, listener),
    };
  } catch (error) {
    await container.destroy();
    throw error;
  }
}

/** Hears what a guest says before anybody speaks to it. */
type Listener = {
  readonly firstWord: Promise<void>;
  readonly lost: Promise<void>;
  readonly isLost: () => boolean;
  /** Gives the pipe away as if nobody had listened. */
  readonly release: () => Duplex;
};

/** After its first word a guest waits for an answer: whatever else comes, the end of the pipe included, makes it useless. */
function listen(pipe: Duplex): Listener {
  const heard: Uint8Array[] = [];
  let isLost = false;
  let speak: () => void = () => undefined;
  let fail: (error: SandboxError) => void = () => undefined;
  let tell: () => void = () => undefined;
  const firstWord = new Promise<void>((resolve, reject) => {
    speak = resolve;
    fail = reject;
  });
  firstWord.catch(() => undefined);
  const lost = new Promise<void>((resolve) => {
    tell = resolve;
  });
  const timer = setTimeout(lose, FIRST_WORD_MS);

  function take(): void {
    for (let piece: unknown = pipe.read(); piece instanceof Uint8Array; piece = pipe.read()) heard.push(piece);
    if (heard.length > 1) lose();
    else if (heard.length === 1) settle();
  }

  function settle(): void {
    clearTimeout(timer);
    speak();
  }

  function lose(): void {
    isLost = true;
    clearTimeout(timer);
    tell();
    fail(new SandboxError("GUEST_LOST", "A container made ahead of need did not come up.", "Run `sandbox doctor`."));
  }

  // Once it is given away its new owner hears of errors too.
  pipe.on("error", () => undefined);
  pipe.on("readable", take).on("end", lose).on("close", lose);
  return {
    firstWord,
    lost,
    isLost: () => isLost,
    release() {
      pipe.off("readable", take).off("end", lose).off("close", lose);
      for (const piece of heard.splice(0)) pipe.unshift(piece);
      return pipe;
    },
  };
}

function handOut(container: Container, { release }: Listener): Container {
  const pipe = release();
  return {
    get id() {
      return container.id;
    },
    name: container.name,
    attach: () => Promise.resolve(pipe),
    start: () => Promise.resolve(),
    diagnostics: () => container.diagnostics(),
    pause: () => container.pause(),
    destroy: () => container.destroy(),
    autopsy: (patience) => container.autopsy(patience),
  };
}
