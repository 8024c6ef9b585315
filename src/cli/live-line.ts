import { Writable } from "node:stream";
import type { WriteStream } from "node:tty";
import { isColoured } from "./colour.ts";

/** Between two looks at what the line says; the spinner itself turns faster. */
const LOOK_MS = 250;
/** What stands in front of the text, and a last column that stays free: a terminal that is written full may wrap. */
const BESIDES = 3;
/** Of a terminal that does not know its size. */
const USUAL_COLUMNS = 80;

/** A line with a spinner below everything that is written, until it is stopped. */
export type LiveLine = {
  /** Says at once what it would say soon. */
  readonly refresh: () => void;
  readonly stop: () => void;
};

/** Whether a line can change in place there: a terminal that moves its cursor, and nobody's log. */
export function isLive(stream: WriteStream): boolean {
  return stream.isTTY && process.env["TERM"] !== "dumb" && process.env["CI"] === undefined;
}

/**
 * Shows a line of a terminal that changes in place. `say` gets the columns that there are and answers a text for them, which is cut where it is longer.
 * What others write to standard output and standard error meanwhile appears above it.
 */
export function showLiveLine(stream: WriteStream, say: (columns: number) => string): LiveLine {
  let spinner: { text: string; stop(): unknown } | undefined;
  let stopped = false;
  const text = (): string => {
    const columns = Math.max(0, (stream.columns || USUAL_COLUMNS) - BESIDES);
    // The cursor waits at the line's beginning: when the window becomes narrower and the line wraps, all of it is still below the cursor.
    return `${cut(say(columns), columns)}\r`;
  };
  const refresh = (): void => {
    if (spinner !== undefined) spinner.text = text();
  };
  const timer = setInterval(refresh, LOOK_MS).unref();
  stream.on("resize", refresh);
  void import("ora").then(({ default: ora }) => {
    if (stopped) return;
    const color = isColoured(stream) ? "cyan" : false;
    spinner = ora({ text: text(), stream: steady(stream), isEnabled: true, discardStdin: false, hideCursor: false, color }).start();
  });
  return {
    refresh,
    stop() {
      stopped = true;
      clearInterval(timer);
      stream.off("resize", refresh);
      spinner?.stop();
    },
  };
}

/** The text in at most so many columns. What is not ASCII may be two columns wide. */
function cut(text: string, columns: number): string {
  if (widthOf(text) <= columns) return text;
  let shown = "";
  let width = 1;
  for (const character of text) {
    width += widthOf(character);
    if (width > columns) break;
    shown += character;
  }
  return columns > 0 ? `${shown}…` : "";
}

/** At most so many columns. */
export function widthOf(text: string): number {
  let width = 0;
  for (const character of text) width += character >= " " && character <= "~" ? 1 : 2;
  return width;
}

/** Clears the line, and from the next column on the rest of the screen: cleared from its first column on, tmux would keep it as history. */
const CLEAR = "\u001b[K\u001b[C\u001b[J\r";

/**
 * The terminal as the spinner shall see it. It clears by counting the rows that its last frame took, from the width of now: never ending where that is
 * 0, and wrong where the window has another width than then. Frames are one row here, and whatever they have become is between the cursor and the end.
 */
function steady(terminal: WriteStream): Writable {
  const write = terminal.write.bind(terminal);
  return Object.assign(new Writable(), {
    isTTY: true,
    columns: Number.MAX_SAFE_INTEGER,
    write: (piece: string): boolean => write(piece),
    cursorTo: (): boolean => write("\r"),
    clearLine: (): boolean => write(CLEAR),
  });
}
