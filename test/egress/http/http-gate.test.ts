import { once } from "node:events";
import { createServer, type IncomingMessage, type Server } from "node:http";
import { type AddressInfo, connect, createServer as createNetServer, type Server as NetServer } from "node:net";
import { text } from "node:stream/consumers";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createBook } from "../../../src/egress/accounts/book.ts";
import { createByteBudget } from "../../../src/egress/accounts/byte-budget.ts";
import { createHttpGate, type HttpGate } from "../../../src/egress/http/http-gate.ts";
import { createUpstream } from "../../../src/egress/http/upstream.ts";
import { createDial } from "../../../src/egress/places/dial.ts";
import { compileRules } from "../../../src/egress/rule.ts";
import type { RuleSpec } from "../../../src/policy/egress-spec.ts";
import { fuzzMs, fuzzRuns } from "../../lab/fuzz-runs.ts";
import { fc } from "../../lab/property.ts";

type Arrived = { readonly method: string; readonly url: string; readonly hosts: readonly string[]; readonly body: string };

const NAME = "api.example.com";
const arrived: Arrived[] = [];
const closing = new AbortController();
let origin: Server;
let front: NetServer;
let gate: HttpGate;

/** GET and POST below /v1/ of one host, at a server of the test. */
function ruleFor(port: number): RuleSpec {
  const nothing = { rate: undefined, burst: undefined, maxBytes: undefined, maxConnections: undefined, ca: undefined };
  const address = { ip: "127.0.0.1", port };
  return {
    text: NAME,
    host: NAME,
    deny: false,
    ports: [80],
    address,
    allowPrivate: false,
    methods: ["GET", "POST"],
    paths: ["/v1/**"],
    upgrade: [],
    ...nothing,
  };
}

beforeAll(async () => {
  origin = createServer((request: IncomingMessage, response) => {
    const read = text(request).catch(() => "broken off");
    void read.then((body) => {
      const hosts = request.rawHeaders.filter((_word, at) => request.rawHeaders[at - (at % 2)]?.toLowerCase() === "host" && at % 2 === 1);
      arrived.push({ method: request.method ?? "", url: request.url ?? "", hosts, body });
      response.end("ok");
    });
  });
  origin.listen(0, "127.0.0.1");
  await once(origin, "listening");
  const rules = await compileRules([ruleFor((origin.address() as AddressInfo).port)], () => performance.now());
  const resolve = () => Promise.reject(new Error("Nothing is looked up."));
  const book = createBook({ total: createByteBudget(undefined), onEvent: () => undefined, onLimit: () => undefined });
  const upstream = createUpstream(createDial(resolve, closing.signal), () => Promise.resolve(undefined));
  gate = createHttpGate({ upstream, book, secrets: undefined, learner: undefined });
  front = createNetServer({ allowHalfOpen: true }, (socket) => gate.accept(socket, { name: NAME, port: 80, secure: false, rules }));
  front.listen(0, "127.0.0.1");
  await once(front, "listening");
});
afterAll(() => {
  gate.close();
  closing.abort();
  front.close();
  origin.close();
  origin.closeAllConnections();
});

/** Sends bytes as a whole connection, and gives what came back. */
async function converse(bytes: string): Promise<string> {
  const socket = connect({ port: (front.address() as AddressInfo).port, host: "127.0.0.1", allowHalfOpen: true });
  socket.on("error", () => undefined);
  socket.end(Buffer.from(bytes, "latin1"));
  const said: Buffer[] = [];
  socket.on("data", (chunk: Buffer) => said.push(chunk));
  await once(socket, "close").catch(() => undefined);
  return Buffer.concat(said).toString("latin1");
}

const eol = fc.constantFrom("\r\n", "\r\n", "\r\n", "\r\n", "\n", "\r", "\r\n ", "\0\r\n");
const method = fc.constantFrom("GET", "POST", "GET", "POST", "PUT", "get", "CONNECT", "OPTIONS", "GE T", "PRI");
const target = fc.oneof(
  fc.constantFrom(
    "/v1/a",
    "/v1/a/b?c=d",
    "/v1/../v2",
    "/v1/%2e%2e/v2",
    "/v1/..;/v2",
    "/v2",
    "//v1/a",
    "/v1/%2f../v2",
    "/v1/%252e%252e/v2",
    "*",
    "v1",
  ),
  fc.constantFrom(
    `http://${NAME}/v1/x`,
    "http://other.example/v1/x",
    `https://${NAME}/v1/x`,
    `http://${NAME}@other.example/v1/x`,
    "/v1/\\..\\v2",
    "/v1/%00",
  ),
  fc.string({ maxLength: 12 }).map((rest) => `/v1/${rest}`),
);
const header = fc.oneof(
  fc.constantFrom(
    `Host: ${NAME}`,
    "Host: other.example",
    `Host : ${NAME}`,
    "Content-Length: 5",
    "Content-Length: 0",
    "Content-Length: 5, 5",
    "Content-Length: +5",
  ),
  fc.constantFrom(
    "Transfer-Encoding: chunked",
    "Transfer-Encoding: xchunked",
    "Transfer-Encoding : chunked",
    "Transfer-Encoding: chunked, identity",
    "Connection: content-length",
  ),
  fc.constantFrom(
    "Connection: close, Host",
    "Upgrade: websocket",
    "Upgrade: h2c",
    "Expect: 100-continue",
    "X: y",
    " folded",
    "X:\x0by",
    "Connection: transfer-encoding",
  ),
);
const smuggled = `GET /v2/smuggled HTTP/1.1\r\nHost: ${NAME}\r\n\r\n`;
const body = fc.constantFrom(
  "",
  "hello",
  "5\r\nhello\r\n0\r\n\r\n",
  "0\r\n\r\n",
  `0\r\n\r\n${smuggled}`,
  smuggled,
  `5;x\r\nhello\r\n0\r\nX: y\r\n\r\n`,
  "5\nhello\n0\n\n",
  "ffffffffffffffff\r\n",
);
const request = fc
  .tuple(
    method,
    target,
    fc.constantFrom("HTTP/1.1", "HTTP/1.1", "HTTP/1.0", "HTTP/2.0", "HTTP/1.1 "),
    fc.array(fc.tuple(header, eol), { maxLength: 6 }),
    eol,
    body,
  )
  .map(([verb, where, version, headers, end, rest]) => {
    const lines = [[`${verb} ${where} ${version}`, end] as const, [`Host: ${NAME}`, "\r\n"] as const, ...headers];
    return `${lines.map(([line, last]) => `${line}${last}`).join("")}\r\n${rest}`;
  });

const plain = fc.constantFrom(
  `GET /v1/a HTTP/1.1\r\nHost: ${NAME}\r\n\r\n`,
  `POST /v1/b HTTP/1.1\r\nHost: ${NAME}\r\nContent-Length: 5\r\n\r\nhello`,
  `POST /v1/c HTTP/1.1\r\nHost: ${NAME}\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n`,
);
const one = fc.oneof(plain, request);

describe("requests of any form", () => {
  it("pass when they are plain", async () => {
    arrived.length = 0;
    expect(await converse(`POST /v1/a?b HTTP/1.1\r\nHost: ${NAME}\r\nContent-Length: 5\r\n\r\nhello`)).toMatch(/^HTTP\/1\.1 200 OK/);
    expect(arrived).toEqual([{ method: "POST", url: "/v1/a?b", hosts: [NAME], body: "hello" }]);
  });

  it("reach the origin only as the rule allows them, whatever stands before, in and behind them", {
    timeout: 2 * fuzzMs(60_000),
  }, async () => {
    let passed = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(one, { minLength: 1, maxLength: 3 }), async (requests) => {
        arrived.length = 0;
        await converse(requests.join(""));
        passed += arrived.length;
        const wrong = arrived.filter(
          ({ method: verb, url, hosts }) =>
            !/^(?:GET|POST)$/.test(verb) || !/^\/v1\/(?!.*(?:\.\.|%2e))/i.test(url) || hosts.join() !== NAME,
        );
        expect(wrong).toEqual([]);
      }),
      { numRuns: fuzzRuns(1_500) },
    );
    expect(passed).toBeGreaterThan(50);
  });
});
