import { describe, expect, it } from "vitest";
import { parseAptLines, parseAptStanzas } from "../../src/images/apt-sources.ts";

describe("the one-line format", () => {
  it("keeps the archives of the release and their options", () => {
    const text = [
      "# a comment",
      "deb [signed-by=/usr/share/keyrings/debian.gpg arch=amd64] http://deb.debian.org/debian bookworm main contrib # mirror",
      "deb http://deb.debian.org/debian-security bookworm-security main",
      "deb-src http://deb.debian.org/debian bookworm main",
    ].join("\n");
    expect(parseAptLines(text, "bookworm")).toEqual([
      "deb [signed-by=/usr/share/keyrings/debian.gpg arch=amd64] http://deb.debian.org/debian bookworm main contrib",
      "deb http://deb.debian.org/debian-security bookworm-security main",
    ]);
  });

  it("leaves out what others offer and what is not of the release itself", () => {
    const text = [
      "deb https://packages.cloud.google.com/apt cloud-sdk-bookworm main",
      "deb https://download.docker.com/linux/debian bookworm stable",
      "deb https://deb.nodesource.com/node_18.x bookworm main",
      "deb http://deb.debian.org/debian bookworm-backports main",
      "deb http://deb.debian.org/debian sid main",
    ].join("\n");
    expect(parseAptLines(text, "bookworm")).toEqual([]);
  });
});

describe("the deb822 format", () => {
  it("gives one line for each archive and suite", () => {
    const text = [
      "# Ubuntu's own",
      "Types: deb deb-src",
      "URIs: http://archive.ubuntu.com/ubuntu/",
      "Suites: noble noble-updates noble-backports",
      "Components: main universe",
      "Signed-By: /usr/share/keyrings/ubuntu-archive-keyring.gpg",
      "",
      "Types: deb",
      "URIs: http://security.ubuntu.com/ubuntu/",
      "Suites: noble-security",
      "Components: main",
    ].join("\n");
    expect(parseAptStanzas(text, "noble")).toEqual([
      "deb [signed-by=/usr/share/keyrings/ubuntu-archive-keyring.gpg] http://archive.ubuntu.com/ubuntu/ noble main universe",
      "deb [signed-by=/usr/share/keyrings/ubuntu-archive-keyring.gpg] http://archive.ubuntu.com/ubuntu/ noble-updates main universe",
      "deb http://security.ubuntu.com/ubuntu/ noble-security main",
    ]);
  });

  it("leaves out what is switched off and reads a key over many lines as none", () => {
    const stanza = (more: string): string => `Types: deb\nURIs: http://deb.debian.org/debian\nSuites: trixie\nComponents: main\n${more}`;
    expect(parseAptStanzas(stanza("Enabled: no"), "trixie")).toEqual([]);
    const key = "Signed-By:\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n mQINBF\n -----END PGP PUBLIC KEY BLOCK-----";
    expect(parseAptStanzas(stanza(key), "trixie")).toEqual(["deb http://deb.debian.org/debian trixie main"]);
  });
});
