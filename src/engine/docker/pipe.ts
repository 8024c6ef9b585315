import { Duplex } from "node:stream";
import { toSandboxError } from "../../core/errors.ts";
import { createDemultiplexer } from "./demultiplex.ts";
import { type Place, toEngineError } from "./engine-error.ts";

/** Standard input and output of process 1 as one byte stream. */
export type Pipe = {
  readonly stream: Duplex;
  /** Uses `socket`, an attached connection of a container that is not started yet, from now on. */
  plug(socket: Duplex): void;
  /** The container runs: from now on bytes flow, and the end of the socket is the end of the stream. */
  open(): void;
  /** What arrived on standard error, at most 4 KiB. */
  readonly diagnostics: () => string;
};

const DIAGNOSTICS_BYTES = 4096;
const BUFFER_BYTES = 256 * 1024;

/**
 * Makes the pipe of one container. Until `open` nothing is sent, and a lost connection is not reported: a start that failed can be
 * repeated with another container behind the same stream. A slow reader pauses the socket, a slow engine holds the writer back.
 */
export function createPipe(place: Place): Pipe {
  let socket: Duplex | undefined;
  let state: "waiting" | "open" | "finished" = "waiting";
  /** What was to be done once the container runs: a write held back, and how the socket ended before that. */
  let heldWrite: (() => void) | undefined;
  let heldEnd: (() => void) | undefined;
  const diagnostics = keepFirst(DIAGNOSTICS_BYTES);

  const stream = new Duplex({
    highWaterMark: BUFFER_BYTES,
    read: () => void socket?.resume(),
    write: (chunk: Buffer, _encoding, done) => whenOpen(() => void socket?.write(chunk, done)),
    writev: (chunks, done) => whenOpen(() => writeAll(socket, chunks, done)),
    final: (done) => whenOpen(() => void socket?.end(done)),
    destroy: (error, done) => {
      socket?.destroy();
      done(error);
    },
  });

  function whenOpen(act: () => void): void {
    if (state === "waiting") heldWrite = act;
    else act();
  }

  function plug(next: Duplex): void {
    unplug(socket);
    socket = next;
    heldEnd = undefined;
    const demultiplexer = createDemultiplexer({ output: (bytes) => stream.push(bytes), diagnostics: diagnostics.take });
    next.on("data", (chunk: Buffer) => {
      try {
        if (!demultiplexer.push(chunk)) next.pause();
      } catch (thrown) {
        stream.destroy(toSandboxError(thrown));
      }
    });
    next.on("end", () => finish(demultiplexer.end));
    next.on("error", (error) =>
      finish(() => {
        throw toEngineError(error, place);
      }),
    );
    next.on("close", () => finish(demultiplexer.end));
  }

  /** Ends the stream, or breaks it with what `check` throws; only the first call counts. */
  function finish(check: () => void): void {
    if (state === "waiting") heldEnd ??= check;
    if (state !== "open") return;
    state = "finished";
    try {
      check();
      stream.push(null);
    } catch (thrown) {
      stream.destroy(toSandboxError(thrown));
    }
  }

  function open(): void {
    if (state !== "waiting") return;
    state = "open";
    heldWrite?.();
    if (heldEnd !== undefined) finish(heldEnd);
  }

  return { stream, plug, open, diagnostics: diagnostics.text };
}

/** Writes all chunks at once; `done` hears of the last one. */
function writeAll(socket: Duplex | undefined, chunks: readonly { readonly chunk: Buffer }[], done: (error?: Error | null) => void): void {
  socket?.cork();
  for (const [index, { chunk }] of chunks.entries()) socket?.write(chunk, index === chunks.length - 1 ? done : undefined);
  socket?.uncork();
}

/** Keeps the first `most` bytes of what it takes. */
function keepFirst(most: number): { readonly take: (bytes: Buffer) => void; readonly text: () => string } {
  let kept = Buffer.alloc(0);
  return {
    take: (bytes) => {
      const room = most - kept.length;
      if (room > 0) kept = Buffer.concat([kept, bytes.subarray(0, room)]);
    },
    text: () => kept.toString("utf8"),
  };
}

function unplug(socket: Duplex | undefined): void {
  if (socket === undefined) return;
  socket.removeAllListeners();
  socket.on("error", () => undefined);
  socket.destroy();
}
