import { once } from "node:events";
import { createServer, type IncomingMessage } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Certificate, makeCertificate } from "../lab/certificates.ts";
import { type GateFront, openGateFront } from "../lab/gate-front.ts";
import { type Origin, serveAt } from "../lab/origins.ts";
import { readUntil } from "../lab/read-until.ts";
import { ACCEPTED, agreeToWebSockets, handshake } from "../lab/web-socket-server.ts";

const NAME = "chat.example.com";
let certificate: Certificate;
let origins: readonly Origin[];
let front: GateFront;
let opened: (arrived: { readonly request: IncomingMessage; readonly socket: Duplex }) => void;

/** The next handshake that an origin sees. */
function nextHandshake(): Promise<{ readonly request: IncomingMessage; readonly socket: Duplex }> {
  return new Promise((resolve) => {
    opened = resolve;
  });
}

beforeAll(async () => {
  certificate = await makeCertificate([NAME]);
  const servers = [createServer(), createTlsServer(certificate)];
  for (const server of servers) agreeToWebSockets(server, (request, socket) => opened({ request, socket }));
  origins = await Promise.all(servers.map((server, index) => serveAt(NAME, ["ws", "wss"][index] ?? "", server)));
  front = await openGateFront({ allow: origins.map(({ rule }) => rule), rule: { upgrade: ["websocket"], ca: certificate.cert } });
});
afterAll(async () => {
  await front[Symbol.asyncDispose]();
  for (const origin of origins) await origin[Symbol.asyncDispose]();
});

describe.each([
  ["ws", 0],
  ["wss", 1],
])("a WebSocket over %s", (_scheme, index) => {
  const place = () => ({ name: NAME, port: origins[index]?.port ?? 0 });
  const connect = (): Promise<Socket> => (index === 0 ? front.connect(place()) : front.connectTls(place()));

  it("is opened, carries bytes both ways, and ends with its origin", async () => {
    const handshaken = nextHandshake();
    const task = await connect();
    task.write(handshake(`${NAME}:${place().port}`, "/chat"));
    expect(await readUntil(task, "\r\n\r\n")).toContain(ACCEPTED);
    task.write("abc");
    expect(await readUntil(task, "abc")).toBe("abc");
    const { request, socket } = await handshaken;
    expect(request.url).toBe("/chat");
    const ended = once(task.resume(), "end");
    socket.end();
    await ended;
    task.destroy();
  });

  it("that the task breaks off is broken off at its origin, and the gate goes on", async () => {
    const handshaken = nextHandshake();
    const task = await connect();
    task.write(handshake(`${NAME}:${place().port}`, "/chat"));
    await readUntil(task, "\r\n\r\n");
    const { socket } = await handshaken;
    const gone = new Promise((resolve) => socket.once("close", resolve));
    if (index === 0) task.resetAndDestroy();
    else task.destroy();
    await gone;
    const again = await connect();
    const second = nextHandshake();
    again.write(handshake(`${NAME}:${place().port}`, "/again"));
    expect(await readUntil(again, "\r\n\r\n")).toContain("101");
    (await second).socket.destroy();
    await once(again.resume(), "end");
    again.destroy();
  });
});
