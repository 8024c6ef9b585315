import type { Readable } from "node:stream";
import { SandboxError, systemCode } from "../core/errors.ts";
import { formatSize } from "../core/units.ts";
import { type EndingRace, endingOfError } from "./ending.ts";
import type { OutputMeter } from "./output-meter.ts";

type OutputName = "stdout" | "stderr";

type Way = {
  readonly ending: EndingRace;
  /** The next piece waits for the returned promise. */
  readonly take: ((name: OutputName, piece: Buffer) => Promise<void> | void) | undefined;
};

/** After any end but its own, what a command wrote waits this long for a reader that has stopped reading. */
export const DRAIN_MS = 2_000;

/** Takes both output streams to their ends, each to its limit, or until the caller's reader is gone: then the writer inside sees EPIPE, as it would anywhere. */
export async function carryOutput(
  streams: Readonly<Record<OutputName, Readable>>,
  meters: Readonly<Record<OutputName, OutputMeter>>,
  way: Way,
): Promise<void> {
  await Promise.all([
    carryStream(streams.stdout, { ...way, name: "stdout", meter: meters.stdout }),
    carryStream(streams.stderr, { ...way, name: "stderr", meter: meters.stderr }),
  ]);
}

type OneWay = Way & { readonly name: OutputName; readonly meter: OutputMeter };

async function carryStream(stream: Readable, { name, meter, ending, take }: OneWay): Promise<void> {
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
async function isTaken(take: () => Promise<void> | void, { name, ending }: Pick<OneWay, "name" | "ending">): Promise<boolean> {
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
