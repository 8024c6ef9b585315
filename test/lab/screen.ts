import { Terminal } from "@xterm/headless";

/** What a terminal shows, line by line from the first that it was ever sent, without the empty ones at the end. */
export type Screen = readonly string[];

/** Draws what a terminal was sent as a terminal does, and tells what was on the screen after each piece that was drawn at once. Bytes are characters of Latin-1. */
export async function screensOf(
  shown: string,
  { rows, columns }: { readonly rows: number; readonly columns: number },
): Promise<readonly Screen[]> {
  const terminal = new Terminal({ rows, cols: columns, scrollback: 10_000, allowProposedApi: true });
  const screens: Screen[] = [];
  for (const piece of shown.split(PIECES)) {
    const [, tall, wide] = RESIZED.exec(piece) ?? [];
    if (tall !== undefined && wide !== undefined) terminal.resize(Number(wide), Number(tall));
    await new Promise<void>((resolve) => terminal.write(Buffer.from(piece, "latin1"), resolve));
    screens.push(read(terminal));
  }
  terminal.dispose();
  return screens;
}

/** Ends of frames (synchronized output ends: private mode 2026), and changes of the window's size (xterm's CSI 8 t). */
const PIECES = /(?<=\u001b\[\?2026l)|(?=\u001b\[8;)/;
const RESIZED = /^\u001b\[8;(\d+);(\d+)t/;

function read({ buffer: { active } }: Terminal): Screen {
  const lines = Array.from({ length: active.length }, (_, at) => active.getLine(at)?.translateToString(true) ?? "");
  return lines.slice(0, lines.findLastIndex((line) => line !== "") + 1);
}
