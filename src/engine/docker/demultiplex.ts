import { SandboxError } from "../../core/errors.ts";

/** Where the parts of the stream go; `output` answers whether it wants more right now. */
export type Sinks = { readonly output: (bytes: Buffer) => boolean; readonly diagnostics: (bytes: Buffer) => void };

export type Demultiplexer = {
  /** Takes the next bytes from the engine; answers whether the output wants more right now. Throws `ENGINE_LOST` on a bad header. */
  push(chunk: Buffer): boolean;
  /** The engine ended the stream. Throws `ENGINE_LOST` when that cut a frame in two. */
  readonly end: () => void;
};

const HEADER = 8;
const STDOUT = 1;
const STDERR = 2;
const ENGINE_ERROR = 3;

/**
 * Takes the engine's multiplexed attach stream apart (Docker Engine API, "Attach to a container": an 8-byte header of stream type,
 * three zero bytes and a 32-bit big-endian length before each payload). Payloads are handed on as views of the chunk they arrived in,
 * so that nothing is copied.
 */
export function createDemultiplexer(sinks: Sinks): Demultiplexer {
  const header = Buffer.alloc(HEADER);
  let headerBytes = 0;
  let remaining = 0;
  let wanted = true;

  function push(chunk: Buffer): boolean {
    wanted = true;
    let at = 0;
    while (at < chunk.length) {
      if (remaining === 0) {
        at = takeHeader(chunk, at);
        continue;
      }
      const end = Math.min(chunk.length, at + remaining);
      deliver(chunk.subarray(at, end));
      remaining -= end - at;
      at = end;
    }
    return wanted;
  }

  function takeHeader(chunk: Buffer, at: number): number {
    const end = Math.min(chunk.length, at + HEADER - headerBytes);
    headerBytes += chunk.copy(header, headerBytes, at, end);
    if (headerBytes < HEADER) return end;
    assertHeader(header);
    remaining = header.readUInt32BE(4);
    headerBytes = 0;
    return end;
  }

  function deliver(payload: Buffer): void {
    if (header[0] === STDOUT) wanted = sinks.output(payload);
    else sinks.diagnostics(payload);
  }

  function end(): void {
    if (headerBytes > 0 || remaining > 0) throw broken("it ended in the middle of a frame");
  }

  return { push, end };
}

/** Three of the eight bytes are always zero and the type is one of three, so that text or a raw terminal stream is noticed at once. */
function assertHeader(header: Buffer): void {
  const type = header[0];
  const padding = header.readUIntBE(1, 3);
  if ((type === STDOUT || type === STDERR || type === ENGINE_ERROR) && padding === 0) return;
  throw broken(`its frame header is ${header.toString("hex")}`);
}

function broken(how: string): SandboxError {
  return new SandboxError(
    "ENGINE_LOST",
    `The engine's stream of the container cannot be read: ${how}.`,
    "Check the engine's version with: sandbox doctor.",
  );
}
