import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type GateFront, openGateFront } from "../../lab/gate-front.ts";
import { type Origin, serveAt } from "../../lab/origins.ts";
import { readUntil } from "../../lab/read-until.ts";

const NAME = "api.example.com";
let origin: Origin;
let front: GateFront;
/** Requests that the origin has and has not answered. */
const held = new Map<string, ServerResponse>();
let arrived = 0;
let onArrival: () => void = () => undefined;

beforeAll(async () => {
  const server = createServer((request: IncomingMessage, response) => {
    arrived += 1;
    held.set(request.url ?? "", response);
    response.once("close", () => {
      held.delete(request.url ?? "");
      onArrival();
    });
    onArrival();
  });
  origin = await serveAt(NAME, "http", server);
});
afterAll(() => origin[Symbol.asyncDispose]());
beforeEach(async () => {
  held.clear();
  arrived = 0;
  front = await openGateFront({ allow: [origin.rule], rule: { upgrade: ["websocket"] } });
  return () => front[Symbol.asyncDispose]();
});

/** Settles once it is so, looked at with each request that begins or ends. */
function until(isSo: () => boolean): Promise<void> {
  return new Promise((resolve) => {
    onArrival = () => (isSo() ? resolve() : undefined);
    onArrival();
  });
}

const get = (target: string): string => `GET ${target} HTTP/1.1\r\nHost: ${NAME}:${origin.port}\r\n\r\n`;
const gets = (count: number): string => Array.from({ length: count }, (_, index) => get(`/${index}`)).join("");

describe("requests of one connection that do not wait for the answers before", () => {
  it("are passed on at once, 32 of them, and answered in turn", async () => {
    const task = await front.connect({ name: NAME, port: origin.port });
    task.write(gets(32));
    await until(() => held.size === 32);
    for (const [target, response] of [...held].toReversed()) response.end(`answer to ${target}.`);
    const said = await readUntil(task, "answer to /31.");
    expect([...said.matchAll(/answer to \/(\d+)\./g)].map(([, index]) => Number(index))).toEqual(
      Array.from({ length: 32 }, (_, index) => index),
    );
    expect(front.denials()).toEqual([]);
    task.destroy();
  });

  it.each([33, 50_000])("are broken off, with all that is under way, when there are %i of them", async (count) => {
    const task = await front.connect({ name: NAME, port: origin.port });
    const ended = new Promise((resolve) => task.once("close", resolve));
    task.resume().write(gets(count));
    task.on("end", () => task.destroy());
    await ended;
    expect(front.denials()).toEqual(["it has more than 32 requests under way"]);
    await until(() => held.size === 0);
    expect(arrived).toBeLessThanOrEqual(32);
    expect(front.rows().map(({ why }) => why)).toEqual([null, "it has more than 32 requests under way"]);
  });

  it("end at the origin too when the task breaks off, also those whose turn has not come", async () => {
    const task = await front.connect({ name: NAME, port: origin.port });
    task.write(gets(8));
    await until(() => held.size === 8);
    task.resetAndDestroy();
    await until(() => held.size === 0);
    expect(front.rows().map(({ why }) => why)).toEqual([null]);
  });

  it("are not followed by another protocol", async () => {
    const task = await front.connect({ name: NAME, port: origin.port });
    const upgrade =
      "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    task.write(`${get("/0")}${get("/1").replace("\r\n\r\n", `\r\n${upgrade}\r\n`)}`);
    await once(task.resume(), "end").catch(() => undefined);
    task.destroy();
    expect(front.denials()).toEqual(["it asks for a WebSocket before its earlier requests are answered"]);
    await until(() => held.size === 0);
    expect(arrived).toBeLessThanOrEqual(1);
  });
});
