import { performance } from "node:perf_hooks";
import { formatDuration, formatSize } from "../core/units.ts";
import { sanitiseLine } from "../output/sanitise.ts";
import type { RunEvent } from "../run/events.ts";

/** Tells a client that a call is alive. Disposing waits for what was sent last. */
export type Progress = AsyncDisposable & {
  /** What becomes of a sandbox that is being opened. */
  readonly onEvent: (event: RunEvent) => void;
  /** Counts bytes of output. */
  readonly onOutput: (piece: Uint8Array) => void;
};

/** `progress` is milliseconds since the call came, and grows from one to the next. */
export type Send = (step: { readonly progress: number; readonly message: string }) => Promise<void>;

/** A call that says nothing else is heard of so often. */
const EVERY_MS = 1_000;

/** Sends nothing where nobody asked for it. */
export function createProgress(send: Send | undefined): Progress {
  if (send === undefined) return { onEvent: () => undefined, onOutput: () => undefined, [Symbol.asyncDispose]: () => Promise.resolve() };
  const from = performance.now();
  let progress = 0;
  let bytes = 0;
  let phase = "working";
  let last = Promise.resolve();

  function tell(message: string): void {
    const elapsed = performance.now() - from;
    progress = Math.max(progress + 1, Math.round(elapsed));
    last = Promise.all([last, send?.({ progress, message })]).then(
      () => undefined,
      () => undefined,
    );
  }

  const timer = setInterval(() => {
    const output = bytes === 0 ? "" : `, ${formatSize(bytes)} of output`;
    tell(`${phase} for ${formatDuration(performance.now() - from)}${output}`);
  }, EVERY_MS);
  return {
    onEvent: (event) => {
      const step = stepOf(event);
      if (step === undefined) return;
      phase = step;
      tell(step);
    },
    onOutput: (piece) => {
      phase = "running";
      bytes += piece.length;
    },
    [Symbol.asyncDispose]: async () => {
      clearInterval(timer);
      await last;
    },
  };
}

function stepOf(event: RunEvent): string | undefined {
  switch (event.type) {
    case "run.started":
      return "opening a sandbox";
    case "image.pulling":
      return sanitiseLine(`pulling ${event.image}: ${event.progress}`);
    case "sandbox.created":
      return "the container is there";
    case "sandbox.started":
      return "the sandbox has started";
    case "files.copied":
      return `${event.files} files were copied in`;
    case "exec.started":
      return "running";
    default:
      return undefined;
  }
}
