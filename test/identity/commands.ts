import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createServer } from "node:tls";
import { type Leaf } from "../../src/identity/certificates.ts";

export type Answer = { readonly status: number | null; readonly output: string };

/** Runs a program to its end while this process goes on serving. */
export function runProgram(program: string, args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { env: { PATH: process.env["PATH"], ...env }, stdio: ["ignore", "pipe", "pipe"] });
    let output = "";
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding("utf8").on("data", (text: string) => (output += text));
    child.on("error", reject).on("close", (status) => resolve({ status, output }));
  });
}

/** Gives files with these contents to `use`, and takes them away afterwards. */
export async function withFiles<T>(
  contents: Readonly<Record<string, string>>,
  use: (path: (name: string) => string) => Promise<T>,
): Promise<T> {
  const directory = mkdtempSync(join(tmpdir(), "belljar-identity-"));
  const path = (name: string): string => join(directory, name);
  try {
    for (const [name, content] of Object.entries(contents)) writeFileSync(path(name), content);
    return await use(path);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** What `openssl verify` says about a chain, strictly and for a TLS server of this name. */
export function verify({ authority, cert, name }: { authority: string; cert: string; name: string }): Promise<Answer> {
  return withFiles({ "ca.pem": authority, "leaf.pem": cert }, (path) =>
    runProgram("openssl", [
      ...["verify", "-x509_strict", "-purpose", "sslserver", "-no-CApath", "-no-CAstore"],
      ...["-CAfile", path("ca.pem"), "-verify_hostname", name, path("leaf.pem")],
    ]),
  );
}

export function describeCertificate(cert: string): Promise<Answer> {
  return withFiles({ "cert.pem": cert }, (path) => runProgram("openssl", ["x509", "-noout", "-text", "-in", path("cert.pem")]));
}

/** Serves `hello` over TLS and HTTP on loopback for as long as `use` takes. */
export async function withServer<T>(leaf: Leaf, use: (port: number) => Promise<T>): Promise<T> {
  const server = createServer({ key: leaf.key, cert: leaf.cert }, (socket) => {
    socket.on("error", () => socket.destroy());
    socket.once("data", () => socket.end("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello"));
  });
  server.on("tlsClientError", (_error, socket) => socket.destroy());
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  try {
    return await use((server.address() as AddressInfo).port);
  } finally {
    await new Promise((resolve) => server.close(resolve));
  }
}
