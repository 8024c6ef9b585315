import "reflect-metadata";
import { webcrypto } from "node:crypto";
import * as x509 from "@peculiar/x509";
import { describe, expect, it } from "vitest";
import { type Authority, issueAuthority, issueLeaf } from "../../src/identity/certificates.ts";
import { runProgram, verify, withFiles, withServer } from "./commands.ts";

const DAY = 86_400_000;
const validity = { from: new Date(Date.now() - 300_000), to: new Date(Date.now() + DAY) };

describe("a leaf that the authority signed although it must not", () => {
  it.each([
    ["example.org", ["example.com"]],
    ["badexample.com", ["example.com"]],
    ["com", ["example.com"]],
    ["example.com", ["www.example.com"]],
    ["*.example.org", ["example.com", "example.net"]],
  ])("for %s below %j verifies nowhere, while one inside does", async (name, names) => {
    const authority = await issueAuthority(names, validity);
    const inside = `in.${names[0]}`;
    expect(await verifyLeaf(authority, inside)).toMatchObject({ status: 0 });
    expect(await verifyLeaf(authority, name)).toMatchObject({ status: 2, output: expect.stringContaining("permitted subtree violation") });
  });

  it.each(["127.0.0.1", "::1"])("for the address %s does not verify", async (address) => {
    const authority = await issueAuthority(["example.com"], validity);
    const check = async (names: x509.JsonGeneralNames): Promise<unknown> =>
      verify({ authority: authority.pem, cert: await signNames(authority, names), name: "example.com" });
    expect(await check([{ type: "dns", value: "example.com" }])).toMatchObject({ status: 0 });
    expect(
      await check([
        { type: "dns", value: "example.com" },
        { type: "ip", value: address },
      ]),
    ).toMatchObject({ status: 2, output: expect.stringContaining("excluded subtree violation") });
  });

  it("with a good and a bad name does not verify for the good one", async () => {
    const authority = await issueAuthority(["example.com"], validity);
    const cert = await signNames(authority, [
      { type: "dns", value: "example.com" },
      { type: "dns", value: "example.org" },
    ]);
    expect(await verify({ authority: authority.pem, cert, name: "example.com" })).toMatchObject({ status: 2 });
  });

  it("is refused by curl and by Python", async () => {
    const authority = await issueAuthority(["example.com"], validity);
    for (const [name, trusted] of [
      ["example.com", true],
      ["example.org", false],
    ] as const) {
      const [curl, python] = await withServer(await issueLeaf(authority, name), (port) =>
        withFiles({ "ca.pem": authority.pem }, async (path) => [
          await runProgram("curl", [
            "-sS",
            "--noproxy",
            "*",
            "--cacert",
            path("ca.pem"),
            "--resolve",
            `${name}:${port}:127.0.0.1`,
            `https://${name}:${port}/`,
          ]),
          await runProgram("python3", ["-c", PYTHON, String(port), name, path("ca.pem")]),
        ]),
      );
      expect(curl).toMatchObject(trusted ? { status: 0, output: "hello" } : { status: 60 });
      expect(python).toMatchObject(trusted ? { status: 0 } : { status: 1, output: expect.stringContaining("permitted subtree violation") });
    }
  });
});

describe("an authority below the authority", () => {
  it("can issue nothing that verifies", async () => {
    const authority = await issueAuthority(["example.com"], validity);
    const keys = await webcrypto.subtle.generateKey({ name: "ECDSA", namedCurve: "P-256" }, true, ["sign", "verify"]);
    const below = await x509.X509CertificateGenerator.create(
      {
        subject: "CN=below",
        issuer: authority.subject,
        notBefore: validity.from,
        notAfter: validity.to,
        publicKey: keys.publicKey,
        signingKey: authority.keys.privateKey,
        signingAlgorithm: { name: "ECDSA", hash: "SHA-256" },
        extensions: [
          new x509.BasicConstraintsExtension(true, undefined, true),
          new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign, true),
          await x509.AuthorityKeyIdentifierExtension.create(authority.keys.publicKey, false, webcrypto),
          await x509.SubjectKeyIdentifierExtension.create(keys.publicKey, false, webcrypto),
        ],
      },
      webcrypto,
    );
    const pem = `${below.toString("pem")}\n`;
    const { cert } = await issueLeaf({ pem, subject: "CN=below", keys, validity }, "example.com");
    const answer = await withFiles({ "ca.pem": authority.pem, "below.pem": pem, "leaf.pem": cert }, (path) =>
      runProgram("openssl", ["verify", "-x509_strict", "-CAfile", path("ca.pem"), "-untrusted", path("below.pem"), path("leaf.pem")]),
    );
    expect(answer).toMatchObject({ status: 2, output: expect.stringContaining("path length constraint exceeded") });
  });
});

it("keeps the authority's key where it is", async () => {
  const { keys } = await issueAuthority(["example.com"], validity);
  await expect(webcrypto.subtle.exportKey("pkcs8", keys.privateKey)).rejects.toThrow("extractable");
});

const PYTHON = `
import socket, ssl, sys
context = ssl.create_default_context(cafile=sys.argv[3])
context.wrap_socket(socket.create_connection(("127.0.0.1", int(sys.argv[1]))), server_hostname=sys.argv[2]).sendall(b"x")
`;

async function verifyLeaf(authority: Authority, name: string): Promise<unknown> {
  const { cert } = await issueLeaf(authority, name);
  return verify({ authority: authority.pem, cert, name: name.replace("*", "any") });
}

/** A leaf with the names given, signed with the authority's own key. */
async function signNames(authority: Authority, names: x509.JsonGeneralNames): Promise<string> {
  const certificate = await x509.X509CertificateGenerator.create(
    {
      subject: "",
      issuer: authority.subject,
      notBefore: validity.from,
      notAfter: validity.to,
      publicKey: authority.keys.publicKey,
      signingKey: authority.keys.privateKey,
      signingAlgorithm: { name: "ECDSA", hash: "SHA-256" },
      extensions: [
        new x509.SubjectAlternativeNameExtension(names, true),
        await x509.AuthorityKeyIdentifierExtension.create(authority.keys.publicKey, false, webcrypto),
      ],
    },
    webcrypto,
  );
  return `${certificate.toString("pem")}\n`;
}
