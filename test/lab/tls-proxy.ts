import { execFile } from "node:child_process";
import { once } from "node:events";
import { mkdir, readFile } from "node:fs/promises";
import { connect, type Socket } from "node:net";
import { createServer } from "node:tls";
import { promisify } from "node:util";
import { engineSocket } from "./engine-api.ts";
import type { TempDirectory } from "./temp-directory.ts";

const KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];

/** What `cert.pem` and `key.pem` of a directory say, and who signed it: the directory of an authority, itself if there is none. */
export type Certificate = { readonly name: string; readonly authority?: string; readonly extension?: string };

/** Makes a directory as `DOCKER_CERT_PATH` names one: `cert.pem`, `key.pem`, and in `ca.pem` the authority that signed it. */
export async function makeCertificate(directory: string, { name, authority = directory, extension }: Certificate): Promise<void> {
  await mkdir(directory);
  const signed = authority === directory ? [] : ["-CA", `${authority}/cert.pem`, "-CAkey", `${authority}/key.pem`];
  const added = extension === undefined ? [] : ["-addext", extension];
  const files = ["-keyout", `${directory}/key.pem`, "-out", `${directory}/cert.pem`];
  await promisify(execFile)("openssl", ["req", "-x509", "-days", "2", "-subj", `/CN=${name}`, ...KEY, ...signed, ...added, ...files]);
  await promisify(execFile)("cp", [`${authority}/cert.pem`, `${directory}/ca.pem`]);
}

/** Listens with TLS on 127.0.0.1, asks for a client's certificate, and carries what it hears to the tests' engine. Its URL is `host`. */
export async function startTlsProxy(directory: TempDirectory, certificate: string): Promise<AsyncDisposable & { readonly host: string }> {
  const [ca, cert, key] = await Promise.all(["ca", "cert", "key"].map((name) => readFile(directory.join(certificate, `${name}.pem`))));
  const sockets = new Set<Socket>();
  const server = createServer({ ca, cert, key, requestCert: true, rejectUnauthorized: true, allowHalfOpen: true }, (socket) => {
    const engine = connect({ path: engineSocket(), allowHalfOpen: true });
    for (const [from, to] of [
      [socket, engine],
      [engine, socket],
    ] as const) {
      from.on("error", () => to.destroy()).on("close", () => to.destroy());
      from.pipe(to);
    }
  });
  server.on("connection", (socket: Socket) => sockets.add(socket));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  return {
    host: `tcp://127.0.0.1:${typeof address === "object" ? address?.port : ""}`,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, "close");
    },
  };
}
