import type { Writable } from "node:stream";

export type OutputWriter = {
  /** Settles when the next piece may come; rejects with the stream's own error (`EPIPE`, `ENOSPC`). */
  write(piece: Buffer | string): Promise<void> | void;
  /** Settles when everything was handed to the system. */
  flush(): Promise<void>;
  /** Why what was written did not arrive, if so. */
  readonly failure: Error | undefined;
};

type PipeHandle = { setBlocking?: (blocking: boolean) => void };

/**
 * Writes to standard output or error without ever stopping the event loop: Node.js makes pipes blocking, so that one stuck reader would
 * stop deadlines too. `flush` restores the mode, since the pipe may be shared with other programs.
 */
export function createOutputWriter(stream: Writable): OutputWriter {
  let failure: Error | undefined;
  const fail = (error: Error): void => {
    failure ??= error;
    stream.emit("drain");
  };
  stream.on("error", fail);
  setBlocking(stream, false);

  return {
    get failure() {
      return failure;
    },
    write(piece) {
      if (failure !== undefined) return Promise.reject(failure);
      if (stream.write(piece)) return undefined;
      return new Promise((resolve, reject) => {
        stream.once("drain", () => (failure === undefined ? resolve() : reject(failure)));
      });
    },
    async flush() {
      // Also with nothing left to write: what went wrong with the last piece is told one turn later.
      await new Promise<void>((resolve) => {
        if (failure !== undefined) resolve();
        else stream.write("", () => resolve());
      });
      setBlocking(stream, true);
      stream.off("error", fail);
      stream.on("error", () => undefined);
    },
  };
}

/** For words that may find no reader: the writer keeps what went wrong. */
export async function settled(write: Promise<void> | void): Promise<void> {
  try {
    await write;
  } catch {
    return;
  }
}

function setBlocking(stream: Writable, blocking: boolean): void {
  if (!("_handle" in stream)) return;
  const handle = stream._handle as PipeHandle | null | undefined;
  handle?.setBlocking?.(blocking);
}
