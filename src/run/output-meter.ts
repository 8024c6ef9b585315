import { createKeeper } from "../output/keep.ts";
import type { StreamResult } from "./result.ts";

/** Counts one output stream against its limit, and keeps what the result shows of it. */
export type OutputMeter = {
  /** What of `piece` is within the limit: all, its beginning, or nothing. */
  take(piece: Buffer): Buffer;
  readonly limit: number;
  readonly bytes: number;
  readonly exceeded: boolean;
  finish(): StreamResult;
};

const SHA256_OF_NOTHING = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

export function createOutputMeter(options: { readonly limit: number; readonly keep: boolean }): OutputMeter {
  const keeper = options.keep ? createKeeper() : undefined;
  let bytes = 0;
  let exceeded = false;
  return {
    limit: options.limit,
    get bytes() {
      return bytes;
    },
    get exceeded() {
      return exceeded;
    },
    take(piece) {
      const left = options.limit - bytes;
      const taken = piece.length <= left ? piece : piece.subarray(0, left);
      exceeded ||= piece.length > left;
      bytes += taken.length;
      keeper?.write(taken);
      return taken;
    },
    finish: () => keeper?.finish() ?? { bytes, sha256: SHA256_OF_NOTHING, truncated: bytes > 0, text: "", label: "untrusted" },
  };
}
