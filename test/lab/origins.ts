import { once } from "node:events";
import { createServer as createHttpServer, type RequestListener, type Server } from "node:http";
import { createServer as createHttpsServer } from "node:https";
import { type AddressInfo, createServer as createNetServer, type Server as NetServer, type Socket } from "node:net";
import { type Certificate, makeCertificate } from "./certificates.ts";

/** A server on this machine's loopback, which the sandbox knows by a name. */
export type Origin = AsyncDisposable & {
  readonly port: number;
  /** `scheme://NAME:PORT`, as the task writes it. */
  readonly url: string;
  /** The value of `--allow` that lets the task reach it, and nothing else. */
  readonly rule: string;
};

/** The same answers over http and over https, which shows `certificate`. */
export type WebOrigins = AsyncDisposable & { readonly http: Origin; readonly https: Origin; readonly certificate: Certificate };

export async function startWebOrigins(name: string, onRequest: RequestListener): Promise<WebOrigins> {
  const certificate = await makeCertificate([name]);
  const http = await serveAt(name, "http", createHttpServer(onRequest));
  // The TLS of busybox names no signature algorithms, which means SHA-1.
  const https = await serveAt(name, "https", createHttpsServer({ ...certificate, ciphers: "DEFAULT:@SECLEVEL=0" }, onRequest));
  return {
    http,
    https,
    certificate,
    async [Symbol.asyncDispose]() {
      await http[Symbol.asyncDispose]();
      await https[Symbol.asyncDispose]();
    },
  };
}

/** A server of any other protocol. */
export function startTcpOrigin(name: string, onConnection: (socket: Socket) => void): Promise<Origin> {
  return serveAt(name, "tcp", createNetServer({ allowHalfOpen: true }, onConnection));
}

/** A server in another process, at a port that is known. */
export function originAt(name: string, scheme: string, port: number): Omit<Origin, keyof AsyncDisposable> {
  return { port, url: `${scheme}://${name}:${port}`, rule: `${name}=127.0.0.1:${port}` };
}

/** A port of the loopback that nothing listens at. */
export async function freePort(): Promise<number> {
  await using origin = await startTcpOrigin("", (socket) => socket.destroy());
  return origin.port;
}

/** Any other server of Node.js, which does not listen yet. */
export async function serveAt(name: string, scheme: string, server: Server | NetServer): Promise<Origin> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    ...originAt(name, scheme, (server.address() as AddressInfo).port),
    async [Symbol.asyncDispose]() {
      const closed = once(server, "close");
      server.close();
      if ("closeAllConnections" in server) server.closeAllConnections();
      await closed;
    },
  };
}
