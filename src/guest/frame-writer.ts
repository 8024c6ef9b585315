import type { Writable } from "node:stream";
import type { Send } from "./credit.ts";
import { encodeHeader } from "./frame.ts";

/** Copying so few bytes costs less than a write of their own. */
const SMALL = 2_048;

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
    const header = encodeHeader(stream, type, payload?.length ?? 0);
    if (payload === undefined || payload.length === 0) pipe.write(header);
    else if (payload.length <= SMALL) pipe.write(Buffer.concat([header, payload]));
    else {
      pipe.write(header);
      pipe.write(payload);
    }
  };
}
