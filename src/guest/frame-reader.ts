import { FrameType, HEADER_BYTES, MAX_PAYLOAD } from "./frame.ts";
import { violation } from "./violation.ts";

export type FrameSink = (stream: number, type: number, payload: Buffer) => void;

/**
 * Cuts the guest's bytes into frames. `DATA` is handed on piece by piece without copying as it arrives, so that one call per
 * piece may reach the sink; every other frame reaches it whole. Holds at most one payload of 64 KiB. Throws `GUEST_PROTOCOL`.
 */
export function createFrameReader(sink: FrameSink): (chunk: Buffer) => void {
  const header = Buffer.alloc(HEADER_BYTES);
  let headerLength = 0;
  let stream = 0;
  let type = 0;
  let missing = 0;
  let parts: Buffer[] = [];

  function takeHeader(chunk: Buffer, offset: number): number {
    const taken = Math.min(HEADER_BYTES - headerLength, chunk.length - offset);
    chunk.copy(header, headerLength, offset, offset + taken);
    headerLength += taken;
    if (headerLength < HEADER_BYTES) return taken;
    stream = header.readUInt32BE(0);
    type = header.readUInt8(4);
    missing = header.readUIntBE(5, 3);
    if (missing > MAX_PAYLOAD) throw violation(`a frame announces ${missing} bytes of payload`);
    if (missing === 0) finish(Buffer.alloc(0));
    return taken;
  }

  function takePayload(chunk: Buffer, offset: number): number {
    const piece = chunk.subarray(offset, offset + missing);
    missing -= piece.length;
    if (type === FrameType.DATA) {
      sink(stream, type, piece);
      if (missing === 0) headerLength = 0;
    } else {
      parts.push(piece);
      if (missing === 0) finish(parts.length === 1 ? piece : Buffer.concat(parts));
    }
    return piece.length;
  }

  function finish(payload: Buffer): void {
    headerLength = 0;
    parts = [];
    sink(stream, type, payload);
  }

  return (chunk) => {
    let offset = 0;
    while (offset < chunk.length) offset += headerLength < HEADER_BYTES ? takeHeader(chunk, offset) : takePayload(chunk, offset);
  };
}
