import { once } from "node:events";
import { createServer, type Server, type Socket } from "node:net";
import { tempDirectory } from "../lab/temp-directory.ts";

/** How a scripted engine treats what it receives on a connection; `head` is the request so far. */
export type Behaviour = (socket: Socket, head: string) => void;

export const VERSION = { Version: "99.1", ApiVersion: "1.41", Arch: "amd64", Components: [{ Name: "Engine", Version: "99.1" }] };

/** Ways to misbehave that an engine, or something else at its address, may show. */
export const BEHAVIOURS = {
  silent: () => undefined,
  reset: (socket) => void socket.destroy(),
  closed: (socket) => socket.end(),
  garbage: (socket) => socket.end("220 mail.example.com ESMTP ready\r\n"),
  error500: (socket) => socket.end(answer(500, JSON.stringify({ message: "the disk\u001b[31m is\nbroken" }))),
  notFound: (socket) => socket.end(answer(404, JSON.stringify({ message: "page not found" }))),
  halfBody: (socket) => {
    socket.write('HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 500\r\n\r\n{"Vers');
    socket.end();
  },
  halfThenSilent: (socket) => void socket.write('HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{"Vers'),
  notJson: (socket) => socket.end(answer(200, "<html>hello</html>")),
  otherJson: (socket) => socket.end(answer(200, '["hello"]')),
} as const satisfies Record<string, Behaviour>;

/** A well-formed answer. */
export function answer(status: number, body: string): string {
  return `HTTP/1.1 ${status} Status\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`;
}

/** Listens on a UNIX socket with no engine behind it and shows `behaviour` to each request. */
export async function openScriptedEngine(
  behaviour: Behaviour,
): Promise<AsyncDisposable & { readonly path: string; readonly requests: readonly string[] }> {
  const directory = await tempDirectory();
  const path = directory.join("engine.sock");
  const requests: string[] = [];
  const sockets = new Set<Socket>();
  const server: Server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => undefined);
    socket.on("data", (chunk) => {
      const head = chunk.toString("latin1");
      if (!/^(GET|POST|PUT|DELETE|HEAD) /.test(head)) return;
      requests.push(head.split("\r\n")[0] ?? "");
      behaviour(socket, head);
    });
  });
  server.listen(path);
  await once(server, "listening");
  return {
    path,
    requests,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, "close");
      await directory[Symbol.asyncDispose]();
    },
  };
}
