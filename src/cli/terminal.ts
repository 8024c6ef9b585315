import type { TerminalSize } from "../run/context.ts";

/** The caller's terminal: its size, its changes, and raw mode until disposed, so that keys such as ^C reach the command inside. */
export function openTerminal(options: {
  readonly raw: boolean;
}): TerminalSize & Disposable & { onResize(listener: (size: TerminalSize) => void): void } {
  const { stdin, stdout } = process;
  const size = (): TerminalSize => ({ rows: stdout.rows || 24, columns: stdout.columns || 80 });
  const listeners: (() => void)[] = [];
  if (options.raw) stdin.setRawMode(true);
  return {
    ...size(),
    onResize: (listener) => {
      const onResize = (): void => listener(size());
      listeners.push(onResize);
      stdout.on("resize", onResize);
    },
    [Symbol.dispose]: () => {
      if (options.raw) stdin.setRawMode(false);
      for (const listener of listeners) stdout.off("resize", listener);
    },
  };
}
