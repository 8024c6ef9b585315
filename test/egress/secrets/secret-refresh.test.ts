import { once } from "node:events";
import { createServer, request as httpRequest, type IncomingMessage } from "node:http";
import { text } from "node:stream/consumers";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { createSecrets, type Secrets } from "../../../src/egress/secrets/secret.ts";
import { type GateFront, openGateFront } from "../../lab/gate-front.ts";
import { type Origin, serveAt } from "../../lab/origins.ts";
import { host, placeholderOf, spec } from "./secrets-under-test.ts";

const NAME = "api.example.com";
let origin: Origin;
/** The credentials that the origin saw, and those that it takes. */
let seen: string[] = [];
let valid: string | undefined;

beforeAll(async () => {
  const server = createServer((request, response) => {
    seen.push(request.headers.authorization ?? "");
    void text(request)
      .catch(() => "broken off")
      .then((body) => response.writeHead(request.headers.authorization === valid ? 200 : 401).end(`read ${body}`));
  });
  origin = await serveAt(NAME, "http", server);
});
afterAll(() => origin[Symbol.asyncDispose]());
beforeEach(() => {
  seen = [];
  valid = undefined;
});

/** A run with one secret that a command prints: `values` one after the other, then it fails. `reads` counts how often it was asked. */
async function open(values: readonly string[]) {
  const counted = { reads: 0 };
  const no = (): Promise<string> => Promise.reject(new Error("not in this test"));
  const runCommand = (): Promise<string> => {
    const value = values[counted.reads];
    counted.reads += 1;
    return value === undefined ? no() : Promise.resolve(value);
  };
  const secrets = createSecrets([spec({ hosts: [host(NAME)], from: { kind: "cmd", command: "show it" } })], {
    readEnv: () => undefined,
    readFile: no,
    runCommand,
  });
  return { secrets, counted, front: await openGateFront({ allow: [origin.rule], secrets }) };
}

async function ask(
  front: GateFront,
  secrets: Secrets,
  body?: string,
): Promise<{ readonly status: number | undefined; readonly said: string }> {
  const socket = await front.connect({ name: NAME, port: origin.port });
  const headers = { Host: `${NAME}:${origin.port}`, Authorization: placeholderOf(secrets) };
  const asking = httpRequest({ method: body === undefined ? "GET" : "POST", headers, createConnection: () => socket });
  const [answer] = (await once(asking.end(body), "response")) as [IncomingMessage];
  const said = await text(answer);
  socket.destroy();
  return { status: answer.statusCode, said };
}

describe("a secret that its origin does not take", () => {
  it("is read again, once, and the request sent once more", async () => {
    const { front, secrets, counted } = await open(["old", "new"]);
    await using _front = front;
    valid = "new";
    expect(await ask(front, secrets)).toEqual({ status: 200, said: "read " });
    expect({ seen, ...counted }).toEqual({ seen: ["old", "new"], reads: 2 });
  });

  it("and can't be read again: the origin's own 401 is the answer", async () => {
    const { front, secrets, counted } = await open(["old"]);
    await using _front = front;
    expect(await ask(front, secrets)).toEqual({ status: 401, said: "read " });
    expect({ seen, ...counted }).toEqual({ seen: ["old"], reads: 2 });
  });

  it("however often is read again once in a while, and no request is sent more than twice", async () => {
    const { front, secrets, counted } = await open(Array.from({ length: 20 }, (_, index) => `value-${index}`));
    await using _front = front;
    for (let count = 0; count < 10; count += 1) expect((await ask(front, secrets)).status).toBe(401);
    expect(counted.reads).toBe(2);
    expect(seen).toHaveLength(11);
  });

  it("with a body is read again for the next request, since a body can't be sent twice", async () => {
    const { front, secrets } = await open(["old", "new"]);
    await using _front = front;
    valid = "new";
    expect(await ask(front, secrets, "body")).toEqual({ status: 401, said: "read body" });
    expect(await ask(front, secrets, "body")).toEqual({ status: 200, said: "read body" });
    expect(seen).toEqual(["old", "new"]);
  });
});

it("a secret that can't be read at all is not asked for again with each request", async () => {
  const { front, secrets, counted } = await open([]);
  await using _front = front;
  for (let count = 0; count < 10; count += 1)
    expect(await ask(front, secrets)).toMatchObject({ status: 502, said: expect.stringContaining("its command") });
  expect({ seen, ...counted }).toEqual({ seen: [], reads: 1 });
});
