import { SandboxError, systemCode } from "../core/errors.ts";
import type { RunContext } from "../run/context.ts";
import type { RunEvent } from "../run/events.ts";
import type { RunResult } from "../run/result.ts";
import { createEventWriter } from "./event-writer.ts";
import { createOutputWriter, type OutputWriter, settled } from "./output-writer.ts";
import type { PresenterOptions } from "./presenter-options.ts";
import { createProgress } from "./progress.ts";
import { createStreamWriter } from "./stream-writer.ts";
import { summarise } from "./summary.ts";

/** Shows a run as it happens, in one of three ways; nothing but this prints. */
export type Presenter = {
  readonly keepOutput: boolean;
  readonly onOutput: NonNullable<RunContext["onOutput"]>;
  readonly onEvent: (event: RunEvent) => void;
  /** Shows the result and settles when everything was handed to the system. Throws `OUTPUT_BROKEN` when JSON did not arrive. */
  finish(result: RunResult): Promise<void>;
};

export function createPresenter(options: PresenterOptions): Presenter {
  const stdout = createOutputWriter(process.stdout);
  const stderr = createOutputWriter(process.stderr);
  const progress = createProgress({ enabled: !options.quiet && !options.task.terminal });
  const front = createFront(options, stdout, stderr);
  return {
    keepOutput: options.mode !== "stream",
    onOutput: (name, piece) => {
      progress.stop();
      return front.onOutput(name, piece);
    },
    onEvent: (event) => {
      progress.onEvent(event);
      front.onEvent(event);
    },
    finish: async (result) => {
      progress.stop();
      front.finish(result);
      if (!options.quiet || result.error !== undefined) await settled(stderr.write(summarise(result, options)));
      await Promise.all([stdout.flush(), stderr.flush()]);
      if (options.mode !== "stream") assertDelivered(stdout, options.mode === "json" ? "result" : "events");
    },
  };
}

/** What differs between the ways to show a run. */
type Front = Pick<Presenter, "onOutput" | "onEvent"> & { finish(result: RunResult): void };

function createFront({ mode, raw }: PresenterOptions, stdout: OutputWriter, stderr: OutputWriter): Front {
  switch (mode) {
    case "json":
      return {
        onOutput: () => undefined,
        onEvent: () => undefined,
        finish: (result) => void settled(stdout.write(`${JSON.stringify(result)}\n`)),
      };
    case "events":
      return createEventWriter(stdout);
    case "stream": {
      const streams = {
        stdout: createStreamWriter(stdout, { sanitise: process.stdout.isTTY && !raw }),
        stderr: createStreamWriter(stderr, { sanitise: process.stderr.isTTY && !raw }),
      };
      return {
        onOutput: (name, piece) => streams[name].write(piece),
        onEvent: () => undefined,
        finish: () => {
          void settled(streams.stdout.end());
          void settled(streams.stderr.end());
        },
      };
    }
  }
}

/** A result or event that did not arrive must not look like success. A reader that has gone has read enough. */
function assertDelivered({ failure }: OutputWriter, what: string): void {
  if (failure === undefined || systemCode(failure) === "EPIPE") return;
  throw new SandboxError(
    "OUTPUT_BROKEN",
    `The ${what} can't be written: ${failure.message}.`,
    "Free space or choose another place for the output.",
    {
      cause: failure,
    },
  );
}
