import { KeyObject, randomBytes, webcrypto, X509Certificate } from "node:crypto";
import type * as X509 from "@peculiar/x509";
import { nameConstraints } from "./name-constraints.ts";

type Key = webcrypto.CryptoKey;

/** When a certificate is valid, both ends included; whole seconds count. */
export type Validity = { readonly from: Date; readonly to: Date };

/** An authority that can sign: its certificate and the key to it, which cannot be exported. */
export type Authority = { readonly pem: string; readonly subject: string; readonly keys: Keys; readonly validity: Validity };

type Keys = { readonly privateKey: Key; readonly publicKey: Key };

/** A private key (PKCS #8) and its certificate with the authority's after it, both PEM. */
export type Leaf = { readonly key: string; readonly cert: string };

const P256 = { name: "ECDSA", namedCurve: "P-256" } as const;
const SIGNATURE = { name: "ECDSA", hash: "SHA-256" } as const;

/** Issues an authority that may certify the `names`, what is below them, and nothing else: no other name and no IP address. */
export async function issueAuthority(names: readonly string[], validity: Validity): Promise<Authority> {
  const x509 = await loadLibrary();
  const keys = await webcrypto.subtle.generateKey(P256, false, ["sign", "verify"]);
  const serialNumber = randomSerial();
  // Clients look an issuer up by its name, so that two runs must not share one. The name of the host is nobody's business in there.
  const subject = `CN=belljar authority of run ${serialNumber.slice(0, 12)}, O=belljar`;
  const certificate = await x509.X509CertificateGenerator.create(
    {
      serialNumber,
      subject,
      issuer: subject,
      notBefore: validity.from,
      notAfter: validity.to,
      publicKey: keys.publicKey,
      signingKey: keys.privateKey,
      signingAlgorithm: SIGNATURE,
      extensions: [
        new x509.BasicConstraintsExtension(true, 0, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
        new x509.Extension("2.5.29.30", true, nameConstraints(names)),
        await x509.SubjectKeyIdentifierExtension.create(keys.publicKey, false, webcrypto),
      ],
    },
    webcrypto,
  );
  return { pem: toPem(certificate.rawData), subject, keys, validity };
}

/**
 * Issues a leaf for one DNS name, valid as long as its authority, and does not ask whether the authority may. Each leaf has a key of its own: making
 * one takes a thirtieth of the time that the certificate does, and a key that gets lost speaks for one name only. The name is in the
 * subjectAltName alone, which is critical because the subject is empty (RFC 5280, section 4.2.1.6): nobody is to trust a common name.
 */
export async function issueLeaf(authority: Authority, name: string): Promise<Leaf> {
  const x509 = await loadLibrary();
  const keys = await webcrypto.subtle.generateKey(P256, true, ["sign", "verify"]);
  const certificate = await x509.X509CertificateGenerator.create(
    {
      serialNumber: randomSerial(),
      subject: "",
      issuer: authority.subject,
      notBefore: authority.validity.from,
      notAfter: authority.validity.to,
      publicKey: keys.publicKey,
      signingKey: authority.keys.privateKey,
      signingAlgorithm: SIGNATURE,
      extensions: [
        new x509.BasicConstraintsExtension(false, undefined, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
        new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
        new x509.SubjectAlternativeNameExtension([{ type: "dns", value: name }], true),
        await x509.AuthorityKeyIdentifierExtension.create(authority.keys.publicKey, false, webcrypto),
        await x509.SubjectKeyIdentifierExtension.create(keys.publicKey, false, webcrypto),
      ],
    },
    webcrypto,
  );
  const key = KeyObject.from(keys.privateKey).export({ type: "pkcs8", format: "pem" }).toString();
  return { key, cert: toPem(certificate.rawData) + authority.pem };
}

/** Loaded with the first certificate, since most runs intercept nothing. The library refuses to load without the polyfill before it. */
async function loadLibrary(): Promise<typeof X509> {
  await import("reflect-metadata");
  return import("@peculiar/x509");
}

/** 126 random bits in 16 octets, positive and never shorter (RFC 5280, section 4.1.2.2; the CA/Browser Forum asks for 64 bits). */
function randomSerial(): string {
  const serial = randomBytes(16);
  serial.writeUInt8((serial.readUInt8(0) & 0x3f) | 0x40, 0);
  return serial.toString("hex");
}

function toPem(der: ArrayBuffer): string {
  return new X509Certificate(Buffer.from(der)).toString();
}
