import type { Session } from "../guest/session.ts";
import type { RunAuthority } from "../identity/run-authority.ts";
import type { RunRecord } from "./record.ts";

/** Where images keep what they trust. */
const IMAGE_BUNDLES = ["etc/ssl/certs/ca-certificates.crt", "etc/pki/tls/certs/ca-bundle.crt", "etc/ssl/ca-bundle.pem", "etc/ssl/cert.pem"];
const PLACE = { directory: "/tmp", path: ".sandbox/ca.pem" };
const LARGEST_BUNDLE = 4 * 1024 * 1024;

/**
 * Puts the certificate of the run's own authority, with those that the image trusts already, where programs look. Answers the environment that tells them.
 */
export async function installTrust(
  record: RunRecord,
  authority: Promise<RunAuthority>,
  session: Session,
): Promise<Readonly<Record<string, string>>> {
  const [{ joinTrust, TRUST_VARIABLES }, { readSmallFile }, { putFile }] = await Promise.all([
    import("../identity/trust-bundle.ts"),
    import("../files/small-file.ts"),
    import("../files/put-file.ts"),
  ]);
  const [{ certificate }, known] = await Promise.all([
    authority,
    readSmallFile(session.pack({ directory: "/", paths: IMAGE_BUNDLES }), LARGEST_BUNDLE),
  ]);
  const bundle = joinTrust([known ?? (await ownRoots()), certificate]);
  const file = { path: PLACE.path, mode: 0o444, content: Buffer.from(bundle) };
  await record.ending.unlessEnded(putFile(session.unpack(PLACE.directory), file));
  return Object.fromEntries(TRUST_VARIABLES.map((name) => [name, `${PLACE.directory}/${PLACE.path}`]));
}

/** An image without any: public certificates all the same, so that names which are not looked into work too. */
async function ownRoots(): Promise<string> {
  const { rootCertificates } = await import("node:tls");
  return rootCertificates.join("\n");
}
