import type { WriteStream } from "node:tty";

/** Whether people want colour on this stream: it is a terminal, and `NO_COLOR` (no-color.org) is not set. */
export function isColoured(stream: WriteStream): boolean {
  return stream.isTTY && (process.env["NO_COLOR"] ?? "") === "";
}
