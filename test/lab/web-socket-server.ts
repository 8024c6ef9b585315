import { createHash } from "node:crypto";
import type { IncomingMessage, Server } from "node:http";
import type { Duplex } from "node:stream";

const MAGIC = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/** Has a server agree to WebSocket handshakes (RFC 6455 4.2.2), repeat the credentials in a header, and echo the raw bytes that follow. */
export function agreeToWebSockets(server: Server, onHandshake: (request: IncomingMessage, socket: Duplex) => void): void {
  server.on("upgrade", (request: IncomingMessage, socket: Duplex) => {
    onHandshake(request, socket);
    const accept = createHash("sha1")
      .update(`${request.headers["sec-websocket-key"] ?? ""}${MAGIC}`)
      .digest("base64");
    const echoed = request.headers.authorization === undefined ? [] : [`X-Echo: ${request.headers.authorization}`];
    const lines = ["HTTP/1.1 101 Switching Protocols", "Connection: Upgrade", "Upgrade: websocket", `Sec-WebSocket-Accept: ${accept}`];
    socket.on("error", () => undefined);
    socket.write(`${[...lines, ...echoed].join("\r\n")}\r\n\r\n`);
    socket.pipe(socket);
  });
}

/** The handshake of a client (RFC 6455 4.1), with more headers. */
export function handshake(host: string, target: string, headers: readonly string[] = []): string {
  const lines = [`GET ${target} HTTP/1.1`, `Host: ${host}`, "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13"];
  return `${[...lines, `Sec-WebSocket-Key: ${KEY}`, ...headers].join("\r\n")}\r\n\r\n`;
}

const KEY = "dGhlIHNhbXBsZSBub25jZQ==";

/** What RFC 6455 1.3 says is the answer to that key. */
export const ACCEPTED = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
