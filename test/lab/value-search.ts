import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";

/** Texts and bytes by the name of the place where they were found. */
export type Places = Readonly<Record<string, Buffer>>;

/** The places that hold a value in any form in which it could hide, each with the form. Shares nothing with the product. */
export function placesWith(value: string, places: Places): readonly string[] {
  const forms = Object.entries(formsOf(value));
  return Object.entries(places).flatMap(([name, bytes]) =>
    forms.filter(([, form]) => bytes.includes(form)).map(([form]) => `${name} (${form})`),
  );
}

/** Plain, base64 and base64url at each alignment without the characters that neighbours share, hexadecimal, percent-encoded, inside of JSON. */
export function formsOf(value: string): Readonly<Record<string, string>> {
  const bytes = Buffer.from(value);
  const aligned = [0, 1, 2].map((shift) => {
    const text = Buffer.concat([Buffer.alloc(shift), bytes])
      .toString("base64")
      .replaceAll("=", "");
    return text.slice(shift === 0 ? 0 : shift + 1, (shift + bytes.length) % 3 === 0 ? undefined : -1);
  });
  const hex = bytes.toString("hex");
  return {
    plain: value,
    ...Object.fromEntries(aligned.map((text, shift) => [`base64 behind ${shift}`, text])),
    ...Object.fromEntries(aligned.map((text, shift) => [`base64url behind ${shift}`, text.replaceAll("+", "-").replaceAll("/", "_")])),
    hex,
    "upper hex": hex.toUpperCase(),
    URL: encodeURIComponent(value),
    "every byte of a URL": hex.replaceAll(/../g, "%$&"),
    JSON: JSON.stringify(value).slice(1, -1),
    "JSON with slashes": JSON.stringify(value).slice(1, -1).replaceAll("/", "\\/"),
  };
}

/** The command line and the environment of every process of this machine that may be read. */
export async function ofProcesses(): Promise<Places> {
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
  const paths = pids.flatMap((pid) => [`/proc/${pid}/cmdline`, `/proc/${pid}/environ`]);
  return readAll(paths);
}

/** Every file below a directory. */
export async function ofFiles(directory: string): Promise<Places> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  return readAll(entries.filter((entry) => entry.isFile()).map(({ parentPath, name }) => join(parentPath, name)));
}

/** What a text holds in long stretches of base64, decoded. */
export function ofBase64(name: string, text: string): Places {
  const found = text.match(/[A-Za-z0-9+/]{200,}={0,2}/g) ?? [];
  return Object.fromEntries(found.map((stretch, index) => [`${name}, decoded (${index})`, Buffer.from(stretch, "base64")]));
}

/** A process can end, and a file can go, while its name is read. */
async function readAll(paths: readonly string[]): Promise<Places> {
  const read = await Promise.all(paths.map(async (path) => [path, await readFile(path).catch(() => Buffer.alloc(0))] as const));
  return Object.fromEntries(read);
}
