import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { promisify } from "node:util";
import { tempDirectory } from "./temp-directory.ts";

/** PEM texts: what a server shows, and what its clients have to trust, which is the same. */
export type Certificate = { readonly key: string; readonly cert: string };

/** A certificate for some names which nobody trusts yet. RSA, since the smallest clients read nothing else. */
export async function makeCertificate(names: readonly string[]): Promise<Certificate> {
  await using directory = await tempDirectory();
  const [key, cert] = [directory.join("key.pem"), directory.join("cert.pem")];
  const alternatives = `subjectAltName=${names.map((name) => `DNS:${name}`).join(",")}`;
  const kind = ["-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=belljar-test", "-addext", alternatives];
  await promisify(execFile)("openssl", ["req", ...kind, "-keyout", key, "-out", cert]);
  return { key: await readFile(key, "utf8"), cert: await readFile(cert, "utf8") };
}
