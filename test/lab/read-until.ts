import type { Readable } from "node:stream";

/** Reads text (latin1) from a stream up to and including `end`; what comes after it stays there. Rejects when the stream ends without. */
export function readUntil(stream: Readable, end: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let said = "";
    const onData = (chunk: Buffer): void => {
      said += chunk.toString("latin1");
      const at = said.indexOf(end);
      if (at < 0) return;
      done();
      const rest = said.slice(at + end.length);
      if (rest !== "") stream.unshift(Buffer.from(rest, "latin1"));
      resolve(said.slice(0, at + end.length));
    };
    const onEnd = (): void => {
      done();
      reject(new Error(`It ended before ${JSON.stringify(end)}: ${JSON.stringify(said)}`));
    };
    function done(): void {
      stream.off("data", onData).off("end", onEnd).off("close", onEnd).pause();
    }
    stream.on("data", onData).on("end", onEnd).on("close", onEnd).resume();
  });
}
