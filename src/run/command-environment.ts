import type { Image } from "../engine/port.ts";

const DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** The three names without which hardly any program works; everything else in a command's environment was asked for. */
export function environmentOf(image: Image, { terminal }: { readonly terminal: boolean }): Record<string, string> {
  return { PATH: image.path ?? DEFAULT_PATH, HOME: "/tmp", ...(terminal ? { TERM: "xterm-256color" } : {}) };
}
