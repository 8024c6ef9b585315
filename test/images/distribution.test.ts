import { mkdir, writeFile } from "node:fs/promises";
import { expect, it } from "vitest";
import { readDistribution } from "../../src/images/distribution.ts";
import { type TempDirectory, tempDirectory } from "../lab/temp-directory.ts";

async function machine(osRelease: string, sources: Readonly<Record<string, string>>): Promise<TempDirectory> {
  const root = await tempDirectory();
  await mkdir(root.join("etc/apt/sources.list.d"), { recursive: true });
  await writeFile(root.join("etc/os-release"), osRelease);
  for (const [name, text] of Object.entries(sources)) await writeFile(root.join("etc/apt", name), text);
  return root;
}

it("takes the archives from both formats of apt's sources", async () => {
  await using root = await machine('PRETTY_NAME="Debian"\nID=debian\nVERSION_CODENAME=bookworm\n', {
    "sources.list": "deb http://mirror.example/debian bookworm main\n",
    "sources.list.d/security.sources":
      "Types: deb\nURIs: http://mirror.example/debian-security\nSuites: bookworm-security\nComponents: main\n",
    "sources.list.d/other.list": "deb https://apt.example/node bookworm main\n",
  });
  expect(await readDistribution(root.path)).toEqual({
    id: "debian",
    suite: "bookworm",
    sources: ["deb http://mirror.example/debian bookworm main", "deb http://mirror.example/debian-security bookworm-security main"],
  });
});

it("falls back to the distribution's own archive when the machine names none", async () => {
  await using root = await machine('ID=ubuntu\nVERSION_CODENAME="noble"\n', {});
  expect(await readDistribution(root.path)).toEqual({
    id: "ubuntu",
    suite: "noble",
    sources: ["deb http://archive.ubuntu.com/ubuntu noble main universe"],
  });
});

it("knows no other distribution", async () => {
  await using root = await machine("ID=fedora\nVERSION_CODENAME=adams\n", {});
  expect(await readDistribution(root.path)).toBeUndefined();
});
