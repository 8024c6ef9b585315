import { createSanitiser } from "../output/sanitise.ts";
import type { OutputWriter } from "./output-writer.ts";

/** Passes a command's output on: exact in a pipe or file, harmless on a terminal. */
export function createStreamWriter(
  writer: OutputWriter,
  options: { readonly sanitise: boolean },
): { write(piece: Buffer): Promise<void> | void; end(): Promise<void> | void } {
  if (!options.sanitise) return { write: (piece) => writer.write(piece), end: () => undefined };
  const sanitiser = createSanitiser();
  return {
    write: (piece) => writer.write(sanitiser.write(piece)),
    end: () => writer.write(sanitiser.end()),
  };
}
