import { X509Certificate } from "node:crypto";
import { connect } from "node:tls";
import { describe, expect, it } from "vitest";
import { type Leaf } from "../../src/identity/certificates.ts";
import { createRunAuthority } from "../../src/identity/run-authority.ts";
import { describeCertificate, runProgram, verify, withFiles, withServer } from "./commands.ts";

const HOUR = 3_600_000;
const DAY = 24 * HOUR;

describe("an authority that must not be", () => {
  it.each([
    [[]],
    [[""]],
    [["."]],
    [["*"]],
    [["*.*"]],
    [["a..b"]],
    [["10.0.0.1"]],
    [["::1"]],
    [["0x7f.1"]],
    [["ok.test", "no good"]],
    [["a\0.test"]],
  ])("is not limited to %j", async (names) => {
    await expect(createRunAuthority({ names })).rejects.toMatchObject({ code: "INTERNAL" });
  });

  it.each([0, -1, Number.NaN, Number.POSITIVE_INFINITY, 7 * DAY + 1])("does not live for %d ms", async (lifetimeMs) => {
    await expect(createRunAuthority({ names: ["example.com"], lifetimeMs })).rejects.toMatchObject({ code: "INTERNAL" });
  });
});

describe("leafFor", () => {
  it.each([
    ["", "empty"],
    ["example.org", "another name"],
    ["com", "above"],
    ["badexample.com", "a longer label"],
    ["example.com.evil.test", "the name in front"],
    ["*.example.com", "a wildcard"],
    ["example.com\0.evil.test", "a NUL character"],
    ["a,dns:evil.test.example.com", "two names in one"],
    ["a b.example.com", "a space"],
    ["127.0.0.1", "an address"],
    ["bücher.example.com", "a name that is not in ASCII"],
    ["example.com..", "two dots at the end"],
    [`${"a".repeat(64)}.example.com`, "a label that is too long"],
    [`${"a.".repeat(125)}example.com`, "a name that is too long"],
  ])("refuses %j: %s", async (name) => {
    const authority = await createRunAuthority({ names: ["example.com"] });
    await expect(authority.leafFor(name)).rejects.toMatchObject({ code: "INTERNAL" });
  });

  it.each([
    ["example.com", "example.com"],
    ["example.com", "a.b.example.com"],
    ["example.com", "EXAMPLE.com."],
    ["*.example.com", "a.example.com"],
    [".example.com", "a.example.com"],
    ["localhost", "localhost"],
    ["xn--bcher-kva.test", "_x.xn--bcher-kva.test"],
  ])("with %s issues %s, and openssl verifies the chain strictly", async (suffix, name) => {
    const authority = await createRunAuthority({ names: ["other.test", suffix] });
    const { cert } = await authority.leafFor(name);
    const plain = name.toLowerCase().replace(/\.$/, "");
    expect(new X509Certificate(cert).subjectAltName).toBe(`DNS:${plain}`);
    expect(await verify({ authority: authority.certificate, cert, name: plain })).toMatchObject({ status: 0 });
    expect(await verify({ authority: authority.certificate, cert, name: "other.test" })).toMatchObject({ status: 2 });
  });

  it("gives a hundred connections that ask at once the same certificate", async () => {
    const authority = await createRunAuthority({ names: ["example.com"] });
    const leaves = await Promise.all(
      Array.from({ length: 100 }, (_, index) => authority.leafFor(index % 2 === 0 ? "www.example.com" : "WWW.example.com.")),
    );
    expect(new Set(leaves.map(({ cert, key }) => cert + key)).size).toBe(1);
  });

  it("forgets the name asked for longest ago when a task makes up names", async () => {
    const authority = await createRunAuthority({ names: ["example.com"] });
    const used = await authority.leafFor("used.example.com");
    const unused = await authority.leafFor("unused.example.com");
    for (let index = 0; index < 1023; index += 1) {
      await authority.leafFor(`${index}.example.com`);
      if (index === 500) await authority.leafFor("used.example.com");
    }
    expect(await authority.leafFor("used.example.com")).toBe(used);
    expect((await authority.leafFor("unused.example.com")).cert).not.toBe(unused.cert);
  });

  it("gives every certificate a serial number and a key of its own", async () => {
    const authorities = await Promise.all([1, 2].map(() => createRunAuthority({ names: ["example.com"] })));
    const leaves = await Promise.all(
      authorities.flatMap((authority) => ["a", "b", "c"].map((label) => authority.leafFor(`${label}.example.com`))),
    );
    const certificates = [...authorities.map(({ certificate }) => certificate), ...leaves.map(({ cert }) => cert)].map(
      (pem) => new X509Certificate(pem),
    );
    expect(new Set(certificates.map(({ serialNumber }) => serialNumber)).size).toBe(8);
    expect(new Set(certificates.map(({ publicKey }) => publicKey.export({ type: "spki", format: "pem" }))).size).toBe(8);
    expect(certificates.map(({ serialNumber }) => serialNumber.length)).toEqual(Array(8).fill(32));
  });
});

describe("the time of a certificate", () => {
  it("begins five minutes ago and ends a day from now, for the leaf no later than for the authority", async () => {
    const now = Date.UTC(2030, 0, 1, 12);
    const authority = await createRunAuthority({ names: ["example.com"], now: () => now });
    const { cert } = await authority.leafFor("example.com");
    for (const pem of [authority.certificate, cert]) {
      const { validFrom, validTo } = new X509Certificate(pem);
      expect([Date.parse(validFrom), Date.parse(validTo)]).toEqual([now - 300_000, now + DAY]);
    }
  });

  it.each([
    ["over", -2 * DAY, "certificate has expired"],
    ["yet to come", DAY, "certificate is not yet valid"],
  ])("is checked: one that is %s verifies nothing", async (_, away, complaint) => {
    const authority = await createRunAuthority({ names: ["example.com"], now: () => Date.now() + away });
    const { cert } = await authority.leafFor("example.com");
    const answer = await verify({ authority: authority.certificate, cert, name: "example.com" });
    expect(answer).toMatchObject({ status: 2, output: expect.stringContaining(complaint) });
  });
});

describe("what openssl reads in a certificate", () => {
  it("of an authority: its limits, all of them critical", async () => {
    const authority = await createRunAuthority({ names: ["example.com", "a.example.com", "*.test.invalid"], lifetimeMs: HOUR });
    const { output } = await describeCertificate(authority.certificate);
    expect(output).toMatch(/Subject: CN = belljar authority of run [0-9a-f]{12}, O = belljar\n/);
    expect(extensionsOf(output)).toEqual([
      "X509v3 Basic Constraints: critical",
      "CA:TRUE, pathlen:0",
      "X509v3 Key Usage: critical",
      "Certificate Sign, CRL Sign",
      "X509v3 Name Constraints: critical",
      "Permitted:",
      "DNS:example.com",
      "DNS:test.invalid",
      "Excluded:",
      "IP:0.0.0.0/0.0.0.0",
      "IP:0:0:0:0:0:0:0:0/0:0:0:0:0:0:0:0",
      "X509v3 Subject Key Identifier:",
      "<id>",
    ]);
    expect(output).toContain("NIST CURVE: P-256");
    expect(output).toContain("Signature Algorithm: ecdsa-with-SHA256");
  });

  it("of a leaf: one name, one purpose, no subject", async () => {
    const authority = await createRunAuthority({ names: ["example.com"] });
    const { cert } = await authority.leafFor("www.example.com");
    const { output } = await describeCertificate(cert);
    expect(output).toMatch(/Subject: *\n/);
    expect(extensionsOf(output)).toEqual([
      "X509v3 Basic Constraints: critical",
      "CA:FALSE",
      "X509v3 Key Usage: critical",
      "Digital Signature",
      "X509v3 Extended Key Usage:",
      "TLS Web Server Authentication",
      "X509v3 Subject Alternative Name: critical",
      "DNS:www.example.com",
      "X509v3 Authority Key Identifier:",
      "<id>",
      "X509v3 Subject Key Identifier:",
      "<id>",
    ]);
    expect(cert.endsWith(authority.certificate)).toBe(true);
    expect(cert.match(/BEGIN CERTIFICATE/g)).toHaveLength(2);
  });

  it("of an authority with as many names as need long lengths", async () => {
    const names = Array.from({ length: 3000 }, (_, index) => `host-${index}.example.com`);
    const authority = await createRunAuthority({ names });
    const { output } = await describeCertificate(authority.certificate);
    expect(output.match(/DNS:host-\d+\.example\.com/g)).toHaveLength(3000);
    const { cert } = await authority.leafFor("host-2999.example.com");
    expect(await verify({ authority: authority.certificate, cert, name: "host-2999.example.com" })).toMatchObject({ status: 0 });
  });
});

describe("a client that trusts the authority", () => {
  it.each(["TLSv1.2", "TLSv1.3"] as const)("connects by node:tls over %s", async (version) => {
    const authority = await createRunAuthority({ names: ["example.com"] });
    const leaf = await authority.leafFor("www.example.com");
    await withServer(leaf, async (port) => {
      expect(await shakeHands({ port, ca: authority.certificate, servername: "www.example.com", version })).toBe(version);
      expect(await shakeHands({ port, ca: authority.certificate, servername: "example.com", version })).toBe(
        "ERR_TLS_CERT_ALTNAME_INVALID",
      );
      const other = await createRunAuthority({ names: ["example.com"] });
      expect(await shakeHands({ port, ca: other.certificate, servername: "www.example.com", version })).toMatch(/SELF_SIGNED|UNABLE_TO/);
    });
  });

  it("connects by curl", async () => {
    const authority = await createRunAuthority({ names: ["example.com"] });
    const fetch = (leaf: Leaf, host: string): Promise<unknown> =>
      withServer(leaf, (port) =>
        withFiles({ "ca.pem": authority.certificate }, (path) =>
          runProgram("curl", [...["-sS", "--noproxy", "*", "--resolve", `${host}:${port}:127.0.0.1`], `https://${host}:${port}/`], {
            CURL_CA_BUNDLE: path("ca.pem"),
          }),
        ),
      );
    const leaf = await authority.leafFor("www.example.com");
    expect(await fetch(leaf, "www.example.com")).toEqual({ status: 0, output: "hello" });
    expect(await fetch(leaf, "other.example.com")).toMatchObject({ status: 60 });
  });

  it("connects by Python", async () => {
    const authority = await createRunAuthority({ names: ["example.com"] });
    const leaf = await authority.leafFor("www.example.com");
    const connectTo = (port: number, name: string): Promise<unknown> =>
      withFiles({ "ca.pem": authority.certificate }, (path) =>
        runProgram("python3", ["-c", PYTHON, String(port), name], { SSL_CERT_FILE: path("ca.pem") }),
      );
    await withServer(leaf, async (port) => {
      expect(await connectTo(port, "www.example.com")).toMatchObject({ status: 0, output: expect.stringContaining("hello") });
      expect(await connectTo(port, "other.example.com")).toMatchObject({ status: 1, output: expect.stringContaining("Hostname mismatch") });
    });
  });
});

/** `VERIFY_X509_STRICT` is what Python's default context asks for from 3.13 on. */
const PYTHON = `
import socket, ssl, sys
context = ssl.create_default_context()
context.verify_flags |= ssl.VERIFY_X509_STRICT
with context.wrap_socket(socket.create_connection(("127.0.0.1", int(sys.argv[1]))), server_hostname=sys.argv[2]) as peer:
    peer.sendall(b"GET / HTTP/1.1\\r\\n\\r\\n")
    print(b"".join(iter(lambda: peer.recv(4096), b"")))
`;

type Handshake = { readonly port: number; readonly ca: string; readonly servername: string; readonly version: "TLSv1.2" | "TLSv1.3" };

/** The protocol that was agreed on, or the code of the failure. */
function shakeHands({ port, ca, servername, version }: Handshake): Promise<string | null | undefined> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: "127.0.0.1", ca, servername, minVersion: version, maxVersion: version });
    socket.on("secureConnect", () => {
      resolve(socket.getProtocol());
      socket.destroy();
    });
    socket.on("error", (error: NodeJS.ErrnoException) => resolve(error.code));
  });
}

function extensionsOf(text: string): readonly string[] {
  const block = text.slice(text.indexOf("X509v3 extensions:"), text.indexOf("    Signature Algorithm", text.indexOf("X509v3 extensions:")));
  return block
    .split("\n")
    .slice(1)
    .map((line) => line.trim().replace(/^(?:keyid:)?(?:[0-9A-F]{2}:){19}[0-9A-F]{2}$/, "<id>"))
    .filter((line) => line !== "");
}
