import { isUtf8 } from "node:buffer";
import type { RunEvent } from "../run/events.ts";
import { type OutputWriter, settled } from "./output-writer.ts";

/** Writes a run as NDJSON: its events, and its output as events of their own. */
export function createEventWriter(writer: OutputWriter) {
  const carried: Record<"stdout" | "stderr", Buffer> = { stdout: Buffer.alloc(0), stderr: Buffer.alloc(0) };
  let run = "";

  function write(event: RunEvent): Promise<void> | void {
    return writer.write(`${JSON.stringify(event)}\n`);
  }

  function writeOutput(type: "stdout" | "stderr", bytes: Buffer): Promise<void> | void {
    const content = isUtf8(bytes) ? { text: bytes.toString("utf8") } : { base64: bytes.toString("base64") };
    return write({ t: new Date().toISOString(), run, type, ...content });
  }

  return {
    onOutput(name: "stdout" | "stderr", piece: Buffer): Promise<void> | void {
      const bytes = carried[name].length === 0 ? piece : Buffer.concat([carried[name], piece]);
      const whole = bytes.length - openSequence(bytes);
      carried[name] = bytes.subarray(whole);
      return whole === 0 ? undefined : writeOutput(name, bytes.subarray(0, whole));
    },
    onEvent(event: RunEvent): void {
      run = event.run;
      if (event.type === "exec.exited" || event.type === "run.sealed") {
        for (const name of ["stdout", "stderr"] as const) {
          if (carried[name].length > 0) void settled(writeOutput(name, carried[name]));
          carried[name] = Buffer.alloc(0);
        }
      }
      void settled(write(event));
    },
    finish: () => undefined,
  };
}

/** Bytes at the end that begin a UTF-8 sequence (RFC 3629) without ending it: 0 to 3. */
function openSequence(bytes: Buffer): number {
  for (let back = 1; back <= Math.min(3, bytes.length); back += 1) {
    const byte = bytes[bytes.length - back] ?? 0;
    if (byte < 0x80) return 0;
    if (byte >= 0xc0) {
      const length = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : 2;
      return length > back ? back : 0;
    }
  }
  return 0;
}
