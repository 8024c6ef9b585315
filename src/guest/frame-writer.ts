import type { Writable } from "node:stream";
import type { Send } from "./credit.ts";
import { encodeHeader } from "./frame.ts";

/** Writes frames to the pipe; those of one turn of the event loop leave together. Nothing is written to a pipe that is gone. */
export function createSender(pipe: Writable): Send {
  let corked = false;

  function uncork(): void {
    corked = false;
    pipe.uncork();
  }

  return (stream, type, payload) => {
    if (!pipe.writable) return;
    if (!corked) {
      corked = true;
      pipe.cork();
      process.nextTick(uncork);
    }
    pipe.write(encodeHeader(stream, type, payload?.length ?? 0));
    if (payload !== undefined && payload.length > 0) pipe.write(payload);
  };
}
