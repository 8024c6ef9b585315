import { spawn } from "node:child_process";
import { once } from "node:events";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { duplexPair } from "node:stream";
import { type ConnectionOptions, connect, createSecureContext, TLSSocket } from "node:tls";
import { holdsMessage } from "./hello-bytes.ts";

/** What a client sends to a port before it hears anything: its ClientHello. */
export async function captureHello(connect: (port: number) => unknown): Promise<Buffer> {
  const server = createServer();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const connected = once(server, "connection");
  connect((server.address() as AddressInfo).port);
  const [socket] = (await connected) as [Socket];
  const chunks: Buffer[] = [];
  for await (const chunk of socket) {
    chunks.push(chunk as Buffer);
    if (holdsMessage(Buffer.concat(chunks))) break;
  }
  server.close();
  return Buffer.concat(chunks);
}

/** Node.js as a client; what becomes of it does not matter. */
export const startNode = (options: ConnectionOptions) => (port: number) =>
  connect({ host: "127.0.0.1", port, ...options }).on("error", () => undefined);

/** Starts a program that connects and then fails, since nobody answers it. */
export function startClient([program = "", ...args]: readonly string[]): void {
  spawn(program, args, { stdio: "ignore" });
}

/** The server name that OpenSSL finds in a client's bytes, `undefined` where it finds none before it fails or the bytes end. */
export async function opensslServerName(bytes: Buffer): Promise<string | undefined> {
  const [client, server] = duplexPair();
  let found: string | undefined;
  const done = new Promise<void>((resolve) => {
    const socket = new TLSSocket(server, {
      isServer: true,
      secureContext: createSecureContext(),
      SNICallback: (name, callback) => {
        found = name;
        callback(null);
      },
    });
    for (const event of ["error", "end", "close"]) socket.on(event, () => resolve());
  });
  client.on("error", () => undefined);
  client.resume();
  client.end(bytes);
  await done;
  return found;
}
