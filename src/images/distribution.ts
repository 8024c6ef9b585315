import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { parseAptLines, parseAptStanzas } from "./apt-sources.ts";

/** The Debian or Ubuntu that this machine runs. */
export type Distribution = {
  readonly id: "debian" | "ubuntu";
  /** Code name of the release: `bookworm`, `noble`. */
  readonly suite: string;
  /** Lines of a `sources.list(5)`: the archives of the release itself, as this machine uses them. */
  readonly sources: readonly string[];
};

const DEFAULT_SOURCE = {
  debian: (suite: string) => `deb http://deb.debian.org/debian ${suite} main`,
  ubuntu: (suite: string) => `deb http://archive.ubuntu.com/ubuntu ${suite} main universe`,
} as const;

/** Reads what this machine runs from `os-release(5)`, or gives `undefined` when it is neither Debian nor Ubuntu. `root` is for tests. */
export async function readDistribution(root = "/"): Promise<Distribution | undefined> {
  const release = await readText(join(root, "etc/os-release"));
  const id = field(release, "ID");
  const suite = field(release, "VERSION_CODENAME");
  if ((id !== "debian" && id !== "ubuntu") || suite === undefined || !/^[a-z]+$/.test(suite)) return undefined;
  const sources = await readSources(join(root, "etc/apt"), suite);
  return { id, suite, sources: sources.length > 0 ? sources : [DEFAULT_SOURCE[id](suite)] };
}

async function readSources(directory: string, suite: string): Promise<readonly string[]> {
  const parts = await readdir(join(directory, "sources.list.d")).catch(() => []);
  const files = ["sources.list", ...parts.sort().map((name) => `sources.list.d/${name}`)];
  const lines: string[] = [];
  for (const file of files) {
    const text = await readText(join(directory, file));
    if (file.endsWith(".sources")) lines.push(...parseAptStanzas(text, suite));
    else if (file.endsWith(".list")) lines.push(...parseAptLines(text, suite));
  }
  return lines;
}

/** A value of `os-release(5)`, without its quotes. */
function field(release: string, name: string): string | undefined {
  const value = new RegExp(`^${name}=(.*)$`, "m").exec(release)?.[1];
  return value?.trim().replace(/^(["'])(.*)\1$/, "$2");
}

function readText(path: string): Promise<string> {
  return readFile(path, "utf8").catch(() => "");
}
