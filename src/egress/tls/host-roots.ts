import { readFile } from "node:fs/promises";
import { rootCertificates } from "node:tls";

/** Where systems keep the certificates that they trust: Debian and Alpine, Fedora, openSUSE, BSD and macOS. */
const BUNDLES = ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem", "/etc/ssl/cert.pem"];

/**
 * PEM certificates that this machine trusts: `SSL_CERT_FILE` where it is set, else the system's bundle, else Node.js's own; those of
 * `NODE_EXTRA_CA_CERTS` always come on top. `env` is the caller's environment.
 */
export async function readHostRoots(env: Readonly<Record<string, string | undefined>>): Promise<readonly string[]> {
  const chosen = env["SSL_CERT_FILE"];
  const bundle = await firstReadable(chosen === undefined || chosen === "" ? BUNDLES : [chosen]);
  const extra = env["NODE_EXTRA_CA_CERTS"];
  const added = extra === undefined || extra === "" ? undefined : await firstReadable([extra]);
  return [...(bundle === undefined ? rootCertificates : [bundle]), ...(added === undefined ? [] : [added])];
}

async function firstReadable(paths: readonly string[]): Promise<string | undefined> {
  for (const path of paths) {
    const text = await readFile(path, "utf8").catch(() => undefined);
    if (text?.includes("-----BEGIN CERTIFICATE-----") === true) return text;
  }
  return undefined;
}
