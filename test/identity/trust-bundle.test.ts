import { X509Certificate } from "node:crypto";
import { rootCertificates } from "node:tls";
import { describe, expect, it } from "vitest";
import { joinTrust, TRUST_VARIABLES } from "../../src/identity/trust-bundle.ts";
import { fuzzRuns } from "../lab/fuzz-runs.ts";
import { fc } from "../lab/property.ts";

const [A = "", B = "", C = ""] = rootCertificates.map((pem) => new X509Certificate(pem).toString());
const KEY = "-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49\n-----END PRIVATE KEY-----\n";
const block = (body: string): string => `-----BEGIN CERTIFICATE-----\n${body}\n-----END CERTIFICATE-----\n`;
const trailing = block(Buffer.concat([new X509Certificate(A).raw, Buffer.from("more")]).toString("base64"));

describe("joinTrust", () => {
  it.each([
    ["nothing", [], ""],
    ["empty bundles", ["", "\n"], ""],
    ["two bundles that overlap", [A + B, B + C], A + B + C],
    ["one without a newline at its end", [A.trimEnd(), B], A + B],
    ["lines that end with CR LF", [A.replaceAll("\n", "\r\n"), A], A],
    ["a body in one line", [block(new X509Certificate(A).raw.toString("base64"))], A],
    ["comments around", [`# Root A\n${A}Issuer: -----BEGIN\n${B}`], A + B],
    ["a private key", [A + KEY + B], A + B],
    ["garbage in a block", [block("AAAA") + A + block("") + block("!!!!")], A],
    ["a certificate that is cut", [A.replace(/\n.{20}/, "\n") + B], B],
    ["a block that never ends", [`-----BEGIN CERTIFICATE-----\nMIIB\n${A}`], A],
    ["a file that ends within a block", [A + B.slice(0, 200)], A],
    ["bytes after the certificate", [trailing + A], A],
    ["markup within a block", [block("<b>AAAA</b>") + A], A],
    ["NUL characters between", [`${A}\0\0${B}`], A + B],
  ])("takes %s", (_, bundles, joined) => {
    expect(joinTrust(bundles)).toBe(joined);
  });

  it("keeps every certificate that Node.js trusts", () => {
    const joined = joinTrust([rootCertificates.join("\n"), rootCertificates.toReversed().join("\n")]);
    expect(joined.match(/BEGIN CERTIFICATE/g)).toHaveLength(new Set(rootCertificates).size);
  });

  it("is not held up by a file of openings without ends", () => {
    expect(joinTrust(["-----BEGIN CERTIFICATE-----\nAAAA\n".repeat(100_000), `-----BEGIN CERTIFICATE-----${"A".repeat(4_000_000)}`])).toBe(
      "",
    );
  });

  it("gives the same certificates whatever stands between them, and joins what it joined to itself", () => {
    const piece = fc.oneof(
      fc.constantFrom(A, B, C, KEY, block("AAAA")),
      fc.string().filter((text) => !text.includes("-")),
    );
    fc.assert(
      fc.property(fc.array(fc.array(piece)), (bundles) => {
        const joined = joinTrust(bundles.map((pieces) => pieces.join("\n")));
        const expected = [...new Set(bundles.flat().filter((text) => [A, B, C].includes(text)))].join("");
        expect(joined).toBe(expected);
        expect(joinTrust([joined, joined])).toBe(joined);
      }),
      { numRuns: fuzzRuns(200) },
    );
  });
});

describe("TRUST_VARIABLES", () => {
  it("names each variable once, in a form that a shell can export", () => {
    expect(new Set(TRUST_VARIABLES).size).toBe(TRUST_VARIABLES.length);
    for (const name of TRUST_VARIABLES) expect(name).toMatch(/^[A-Za-z_][A-Za-z0-9_]*$/);
    expect(TRUST_VARIABLES).toEqual(
      expect.arrayContaining(["SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS", "REQUESTS_CA_BUNDLE", "GIT_SSL_CAINFO"]),
    );
  });
});
