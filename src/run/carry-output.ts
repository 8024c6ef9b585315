import type { Readable } from "node:stream";
import { SandboxError, systemCode } from "../core/errors.ts";
import { formatSize } from "../core/units.ts";
import { type EndingRace, endingOfError } from "./ending.ts";
import type { OutputMeter } from "./output-meter.ts";

type Way = {
  readonly name: "stdout" | "stderr";
  readonly meter: OutputMeter;
  readonly ending: EndingRace;
  /** The next piece waits for the returned promise. */
  readonly take: ((name: "stdout" | "stderr", piece: Buffer) => Promise<void> | void) | undefined;
};

/** After any end but its own, what a command wrote waits this long for a reader that has stopped reading. */
export const DRAIN_MS = 2_000;

/** Takes one output stream to its end, to its limit, or until the caller's reader is gone: then the writer inside sees EPIPE, as it would anywhere. */
export async function carryOutput(stream: Readable, { name, meter, ending, take }: Way): Promise<void> {
  try {
    for await (const piece of stream as AsyncIterable<Buffer>) {
      const taken = meter.take(piece);
      if (taken.length > 0 && take !== undefined && !(await isTaken(() => take(name, taken), { name, ending }))) return;
      if (!meter.exceeded) continue;
      ending.settle({
        reason: "output-limit",
        detail: `The command wrote more than ${formatSize(meter.limit)} to ${name}; --max-output raises the limit.`,
      });
      return;
    }
  } catch (error) {
    // The loss of the pipe is told elsewhere.
    if (!(error instanceof SandboxError)) ending.settle(endingOfError(outputFailure(name, error)));
  }
}

/** Whether the reader took a piece. One that has gone has read enough; every other failure of it ends the command. */
async function isTaken(take: () => Promise<void> | void, { name, ending }: Pick<Way, "name" | "ending">): Promise<boolean> {
  try {
    await take();
    return true;
  } catch (error) {
    if (systemCode(error) !== "EPIPE") ending.settle(endingOfError(outputFailure(name, error)));
    return false;
  }
}

function outputFailure(name: string, cause: unknown): SandboxError {
  const message = cause instanceof Error ? cause.message : String(cause);
  return new SandboxError(
    "OUTPUT_BROKEN",
    `The command's ${name} can't be written: ${message.replace(/\.$/, "")}.`,
    "Free space or choose another place for the output.",
    { cause },
  );
}
