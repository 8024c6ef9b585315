import type { Readable, Writable } from "node:stream";

/** Carries the caller's input to the command until either end is done; `stop` lets go of the caller's stream. */
export function feedInput(source: Readable | undefined, target: Writable): { stop(): void } {
  target.on("error", () => undefined);
  if (source === undefined) {
    target.end();
    return { stop: () => undefined };
  }
  const stop = (): void => {
    source.unpipe(target);
    source.pause();
  };
  source.once("error", () => target.end());
  target.once("refused", stop);
  source.pipe(target);
  return { stop };
}
