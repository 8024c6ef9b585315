import type { Readable, Writable } from "node:stream";
import { SandboxError, systemCode } from "../core/errors.ts";
import { type EndingRace, endingOfError } from "./ending.ts";

type Way = { readonly target: Writable; readonly ending: EndingRace };

/**
 * Carries the caller's input to the command until either end is done; `stop` lets go of the caller's stream. Input that breaks off ends the command: it
 * must not take a part for the whole.
 */
export function feedInput(source: Readable | undefined, { target, ending }: Way): { stop(): void } {
  target.on("error", () => undefined);
  if (source === undefined) {
    target.end();
    return { stop: () => undefined };
  }
  const stop = (): void => {
    source.unpipe(target);
    source.pause();
  };
  source.once("error", (error) => {
    // A terminal that has gone has nothing more to say.
    if (systemCode(error) === "EIO") target.end();
    else ending.settle(endingOfError(inputFailure(error)));
  });
  target.once("refused", stop);
  source.pipe(target);
  return { stop };
}

function inputFailure(cause: Error): SandboxError {
  return new SandboxError(
    "INPUT_BROKEN",
    `The command's standard input can't be read: ${cause.message.replace(/\.$/, "")}.`,
    "Check what it comes from.",
    { cause },
  );
}
