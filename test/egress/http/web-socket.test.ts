import { once } from "node:events";
import { createServer, type IncomingMessage } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Secrets } from "../../../src/egress/secrets/secret.ts";
import { type Certificate, makeCertificate } from "../../lab/certificates.ts";
import { type GateFront, openGateFront } from "../../lab/gate-front.ts";
import { type Origin, serveAt } from "../../lab/origins.ts";
import { readUntil } from "../../lab/read-until.ts";
import { ACCEPTED, agreeToWebSockets, handshake } from "../../lab/web-socket-server.ts";
import { holding, host, placeholderOf, spec } from "../secrets/secrets-under-test.ts";

const NAME = "chat.example.com";
const VALUE = "k3y-with+odd/chars=-0123456789";
let certificate: Certificate;
let origins: readonly Origin[];
let front: GateFront;
let secrets: Secrets;
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
  secrets = holding(VALUE, spec({ hosts: [host(NAME)] }), spec({ name: "ELSEWHERE" }));
  front = await openGateFront({ allow: origins.map(({ rule }) => rule), rule: { upgrade: ["websocket"], ca: certificate.cert }, secrets });
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

  it("has the value of a secret in its handshake, and the placeholder again in the answer", async () => {
    const handshaken = nextHandshake();
    const task = await connect();
    const placeholder = placeholderOf(secrets);
    task.write(handshake(`${NAME}:${place().port}`, "/chat", [`Authorization: Bearer ${placeholder}`]));
    const said = await readUntil(task, "\r\n\r\n");
    expect((await handshaken).request.headers.authorization).toBe(`Bearer ${VALUE}`);
    expect(said).toContain(ACCEPTED);
    expect(said).toContain(`X-Echo: Bearer ${placeholder}\r\n`);
    expect(said).not.toContain(VALUE);
    task.destroy();
  });

  it.each([
    [
      "a placeholder in its target",
      () => handshake(`${NAME}:${place().port}`, `/chat?key=${placeholderOf(secrets)}`),
      "target of a request",
    ],
    [
      "a secret of another host",
      () => handshake(`${NAME}:${place().port}`, "/chat", [`X: ${placeholderOf(secrets, "ELSEWHERE")}`]),
      "it is not for chat.example.com",
    ],
    [
      "another protocol",
      () => handshake(`${NAME}:${place().port}`, "/chat").replace("Upgrade: websocket", "Upgrade: h2c"),
      'it wants to change the protocol to "h2c"',
    ],
    ["another method", () => handshake(`${NAME}:${place().port}`, "/chat").replace("GET", "POST"), "it asks for a WebSocket with POST"],
  ])("is refused with %s, and its origin sees nothing", async (_what, bytes, why) => {
    let seen = 0;
    opened = () => {
      seen += 1;
    };
    const denied = front.denials().length;
    const task = await connect();
    task.write(bytes());
    expect(await readUntil(task, "}")).toMatch(/^HTTP\/1\.1 403 /);
    expect(front.denials().slice(denied)).toEqual([expect.stringContaining(why)]);
    await once(task.resume(), "end");
    task.destroy();
    expect(seen).toBe(0);
  });
});
