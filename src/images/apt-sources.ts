/**
 * Both formats of apt's sources (`sources.list(5)`), reduced to the archives of one release of the distribution itself: what others
 * offer on this machine has no place in the image. The answer is in one-line format.
 */

type Archive = { readonly options: string; readonly uri: string; readonly suite: string; readonly components: readonly string[] };

/** Reads the one-line format: `deb [options] uri suite component…`. */
export function parseAptLines(text: string, release: string): readonly string[] {
  const archives: Archive[] = [];
  for (const line of text.split("\n")) {
    const [, options = "", uri, suite, components] = /^deb\s+(?:\[([^\]]*)\]\s+)?(\S+)\s+(\S+)\s+([^#]+)/.exec(line.trim()) ?? [];
    if (uri === undefined || suite === undefined || components === undefined) continue;
    archives.push({ options: options.trim(), uri, suite, components: components.trim().split(/\s+/) });
  }
  return archives.filter((archive) => belongsTo(archive, release)).map(writeLine);
}

/** Reads the deb822 format: stanzas of `Types`, `URIs`, `Suites`, `Components` and `Signed-By`. */
export function parseAptStanzas(text: string, release: string): readonly string[] {
  const archives: Archive[] = [];
  for (const stanza of text.split(/\n\s*\n/)) {
    const fields = parseFields(stanza);
    const words = (name: string): readonly string[] =>
      fields
        .get(name)
        ?.split(/\s+/)
        .filter((word) => word !== "") ?? [];
    if (!words("types").includes("deb") || words("enabled")[0] === "no") continue;
    for (const uri of words("uris")) {
      for (const suite of words("suites"))
        archives.push({ options: keyOption(words("signed-by")), uri, suite, components: words("components") });
    }
  }
  return archives.filter((archive) => belongsTo(archive, release)).map(writeLine);
}

function parseFields(stanza: string): ReadonlyMap<string, string> {
  const fields = new Map<string, string>();
  let name = "";
  for (const line of stanza.split("\n")) {
    if (line.startsWith("#")) continue;
    const [, key, value] = /^([A-Za-z-]+):(.*)$/.exec(line) ?? [];
    if (key !== undefined) name = key.toLowerCase();
    fields.set(name, `${fields.get(name) ?? ""} ${value ?? line}`.trim());
  }
  return fields;
}

/** Only a key file fits on one line; a key written into the stanza itself is one that the distribution's keyring holds as well. */
function keyOption(signedBy: readonly string[]): string {
  const path = signedBy[0];
  return path?.startsWith("/") === true ? `signed-by=${path}` : "";
}

function belongsTo({ uri, suite, components }: Archive, release: string): boolean {
  const own = suite === release || suite === `${release}-updates` || suite === `${release}-security`;
  const archive = /^mirror\+|\/(debian|debian-security|ubuntu|ubuntu-ports)(\/|$)/.test(uri);
  return own && archive && components.includes("main");
}

function writeLine({ options, uri, suite, components }: Archive): string {
  return `deb ${options === "" ? "" : `[${options}] `}${uri} ${suite} ${components.join(" ")}`;
}
