import { once } from "node:events";
import { createServer, request as httpRequest, type IncomingMessage, type ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";
import { buffer } from "node:stream/consumers";
import { brotliCompressSync, deflateSync, gunzipSync, gzipSync } from "node:zlib";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { Secrets } from "../../../src/egress/secrets/secret.ts";
import { createRunAuthority } from "../../../src/identity/run-authority.ts";
import { type GateFront, openGateFront } from "../../lab/gate-front.ts";
import { type Origin, serveAt } from "../../lab/origins.ts";
import { readUntil } from "../../lab/read-until.ts";
import { holding, host, placeholderOf, spec } from "./secrets-under-test.ts";

const NAME = "api.example.com";
const OTHER = "other.example.com";
const VALUE = "k3y-with+odd/chars=-0123456789";

/** What the origin answers with, in turn. */
type Answer = (request: IncomingMessage, response: ServerResponse) => void;

let answer: Answer;
let arrived: IncomingMessage[] = [];
let origin: Origin;
let front: GateFront;
let secrets: Secrets;

beforeAll(async () => {
  const server = createServer((request, response) => {
    arrived.push(request);
    answer(request, response);
  });
  origin = await serveAt(NAME, "http", server);
});
afterAll(() => origin[Symbol.asyncDispose]());
beforeEach(async () => {
  arrived = [];
  secrets = holding(VALUE, spec({ hosts: [host(NAME)] }));
  front = await openGateFront({ allow: [NAME, OTHER].map((name) => `${name}=127.0.0.1:${origin.port}`), secrets });
  const opened = front;
  return () => opened[Symbol.asyncDispose]();
});

type Asked = {
  readonly method?: string;
  readonly name?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly secret?: boolean;
};
type Answered = { readonly message: IncomingMessage; readonly body: Buffer };

/** A request of the task, by Node.js's own client. */
async function ask({ method = "GET", name = NAME, headers = {}, secret = true }: Asked = {}): Promise<Answered> {
  const socket = await front.connect({ name, port: origin.port });
  const own = secret ? { Authorization: `Bearer ${placeholderOf(secrets)}` } : {};
  const asking = httpRequest({
    method,
    headers: { Host: `${name}:${origin.port}`, ...own, ...headers },
    createConnection: () => socket,
  });
  const [message] = (await once(asking.end(), "response")) as [IncomingMessage];
  const body = await buffer(message);
  socket.destroy();
  return { message, body };
}

const shown = ({ message, body }: Answered): string =>
  `${message.statusMessage ?? ""}\n${message.rawHeaders.join("\n")}\n${body.toString("latin1")}`;

/** What arrived, for those cases in which the value must have left. */
const sent = (): readonly (string | undefined)[] => arrived.map(({ headers }) => headers.authorization);

describe("a value that its own host sends back does not come in", () => {
  const text = `<${VALUE}>`;
  const clean = () => `<${placeholderOf(secrets)}>`;

  it("as the reason phrase", async () => {
    answer = (_request, response) => response.writeHead(200, VALUE).end();
    const answered = await ask();
    expect(sent()).toEqual([`Bearer ${VALUE}`]);
    expect(answered.message.statusMessage).toBe("OK");
  });

  it("in a header, by value or by name", async () => {
    answer = (_request, response) =>
      response
        .writeHead(200, { "X-Echo": VALUE, [VALUE.replaceAll(/[/=]/g, "")]: "x", [`X-${Buffer.from(VALUE).toString("hex")}`]: "y" })
        .end();
    const answered = await ask();
    expect(answered.message.headers["x-echo"]).toBe(placeholderOf(secrets));
    expect(shown(answered)).not.toContain(Buffer.from(VALUE).toString("hex"));
  });

  it.each(["application/octet-stream", "image/png", "text/plain", "application/json"])(
    "in a body of the type %s, over pieces",
    async (type) => {
      answer = (_request, response) => {
        response.writeHead(200, { "Content-Type": type, "Content-Length": text.length });
        for (const byte of Buffer.from(text)) response.write(Buffer.from([byte]));
        response.end();
      };
      const answered = await ask();
      expect(answered.body.toString()).toBe(clean());
      expect(answered.message.headers["content-length"]).toBeUndefined();
    },
  );

  it.each([
    ["gzip", gzipSync(text)],
    ["X-GZip", gzipSync(text)],
    ["deflate", deflateSync(text)],
    ["br", brotliCompressSync(text)],
    ["gzip, br", brotliCompressSync(gzipSync(text))],
    ["identity", Buffer.from(text)],
  ])("encoded with %s, which was not asked for", async (coding, bytes) => {
    answer = (_request, response) => response.writeHead(200, { "Content-Encoding": coding, "Content-Length": bytes.length }).end(bytes);
    const answered = await ask({ headers: { "Accept-Encoding": "gzip, br" } });
    expect(arrived[0]?.headers["accept-encoding"]).toBe("identity");
    expect(answered.body.toString()).toBe(clean());
    expect(answered.message.headers["content-encoding"]).toBeUndefined();
  });

  it("encoded in a way that nobody here can read: the answer is refused, and the result says why", async () => {
    answer = (_request, response) => response.writeHead(200, { "Content-Encoding": "zstd" }).end(text);
    const answered = await ask();
    expect(answered.message.statusCode).toBe(502);
    expect(shown(answered)).not.toContain(VALUE);
    expect(front.rows()).toMatchObject([{ decision: "allowed", why: expect.stringContaining("zstd") }]);
  });

  it("as the name of a coding, or of the server in a certificate: what is said of an origin does not repeat it", async () => {
    answer = (_request, response) => response.writeHead(200, { "Content-Encoding": VALUE }).end(text);
    const answered = await ask();
    expect(answered.message.statusCode).toBe(502);
    expect(shown(answered).toLowerCase()).not.toContain(VALUE.toLowerCase());

    const value = "k3yasalabel0123456789";
    secrets = holding(value, spec({ hosts: [host(NAME)] }));
    const authority = await createRunAuthority({ names: ["example.com"] });
    const { key, cert } = await authority.leafFor(`${value}.example.com`);
    await using tls = await serveAt(NAME, "https", createTlsServer({ key, cert }));
    await using own = await openGateFront({ allow: [origin.rule, tls.rule], rule: { ca: authority.certificate, paths: ["/**"] }, secrets });
    answer = (_request, response) => response.end();
    front = own;
    await ask();
    expect(sent().at(-1)).toBe(`Bearer ${value}`);
    const socket = await own.connectTls({ name: NAME, port: tls.port });
    socket.write(`GET / HTTP/1.1\r\nHost: ${NAME}:${tls.port}\r\n\r\n`);
    const said = await readUntil(socket, "}");
    socket.destroy();
    expect(said).toContain(`altnames: DNS:${placeholderOf(secrets)}.example.com`);
    expect(`${said}${JSON.stringify(own.rows())}`).not.toContain(value);
  });

  it("in a body that is not what it says it is: the answer ends", async () => {
    answer = (_request, response) => response.writeHead(200, { "Content-Encoding": "gzip" }).end(text);
    await expect(ask()).rejects.toMatchObject({ code: "ECONNRESET" });
  });

  it("in an answer to a request that had no placeholder", async () => {
    answer = (request, response) => {
      const coding = request.headers["accept-encoding"] === "identity" ? {} : { "Content-Encoding": "gzip" };
      response.writeHead(200, coding).end("Content-Encoding" in coding ? gzipSync(text) : text);
    };
    await ask();
    const answered = await ask({ secret: false, headers: { "Accept-Encoding": "gzip" } });
    expect(sent()).toEqual([`Bearer ${VALUE}`, undefined]);
    expect(answered.body.toString()).toBe(clean());
  });

  it("in two halves of a range", async () => {
    answer = (request, response) => {
      const [, from, to] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? "") ?? [];
      if (from === undefined) return void response.writeHead(200, { "Accept-Ranges": "bytes" }).end(text);
      return void response
        .writeHead(206, { "Content-Range": `bytes ${from}-${to ?? ""}/${text.length}` })
        .end(text.slice(Number(from), Number(to) + 1));
    };
    const halves = [
      await ask({ headers: { Range: "bytes=0-15", "If-Range": '"x"' } }),
      await ask({ headers: { Range: `bytes=16-${text.length - 1}` } }),
    ];
    expect(halves.map(({ message, body }) => [message.statusCode, body.toString()])).toEqual([
      [200, clean()],
      [200, clean()],
    ]);
    expect(arrived.some(({ headers }) => "if-range" in headers || "range" in headers)).toBe(false);
  });

  it("in an answer that began before the value was read", async () => {
    let stream: ServerResponse | undefined;
    answer = (request, response) => {
      if (request.headers.authorization === undefined) {
        stream = response;
        response.write("data: on\n");
      } else {
        stream?.write(`data: ${request.headers.authorization.slice(0, 20)}`);
        stream?.end(`${request.headers.authorization.slice(20)}\n`);
        response.end();
      }
    };
    const socket = await front.connect({ name: NAME, port: origin.port });
    socket.write(`GET / HTTP/1.1\r\nHost: ${NAME}:${origin.port}\r\n\r\n`);
    await readUntil(socket, "data: on\n");
    await ask();
    expect(sent()).toEqual([undefined, `Bearer ${VALUE}`]);
    const rest = await readUntil(socket, "\r\n0\r\n\r\n");
    socket.destroy();
    expect(rest).toContain(`data: Bearer ${placeholderOf(secrets)}\n`);
  });
});

describe("an answer of a host with secrets is right", () => {
  it("when it has no body: HEAD, 204, 304", async () => {
    answer = (request, response) => {
      const status = Number(request.headers["x-status"]);
      response.writeHead(status, { ETag: '"x"', ...(status === 200 ? { "Content-Length": 12, "Content-Encoding": "zstd" } : {}) }).end();
    };
    const answers = [
      await ask({ method: "HEAD", headers: { "X-Status": "200" } }),
      await ask({ headers: { "X-Status": "204" } }),
      await ask({ headers: { "X-Status": "304" } }),
    ];
    expect(
      answers.map(({ message, body }) => [message.statusCode, message.headers.etag, message.headers["content-length"], body.length]),
    ).toEqual([
      [200, '"x"', "12", 0],
      [204, '"x"', undefined, 0],
      [304, '"x"', undefined, 0],
    ]);
  });

  it.each(["gzip", "deflate", "br"])("when its body is empty and encoded with %s", async (coding) => {
    answer = (_request, response) => response.writeHead(200, { "Content-Encoding": coding }).end();
    expect((await ask()).body.length).toBe(0);
  });

  it("on the second request of the same connection", async () => {
    answer = (request, response) =>
      response.writeHead(200, { "Content-Encoding": "gzip" }).end(gzipSync(`${request.url ?? ""} ${request.headers.authorization ?? ""}.`));
    const socket = await front.connect({ name: NAME, port: origin.port });
    for (const target of ["/1", "/2"]) {
      socket.write(`GET ${target} HTTP/1.1\r\nHost: ${NAME}:${origin.port}\r\nAuthorization: ${placeholderOf(secrets)}\r\n\r\n`);
      expect(await readUntil(socket, "\r\n0\r\n\r\n")).toContain(`${target} ${placeholderOf(secrets)}.`);
    }
    expect(sent()).toEqual([VALUE, VALUE]);
    socket.destroy();
  });
});

it("another host of the same run is asked as the task asks, and its compressed answers stay as they are", async () => {
  answer = (_request, response) =>
    response.writeHead(206, { "Content-Encoding": "gzip", "Content-Type": "application/octet-stream" }).end(gzipSync("plain"));
  const { message, body } = await ask({ name: OTHER, secret: false, headers: { "Accept-Encoding": "gzip", Range: "bytes=0-99" } });
  expect(arrived[0]?.headers).toMatchObject({ "accept-encoding": "gzip", range: "bytes=0-99" });
  expect(message.headers["content-encoding"]).toBe("gzip");
  expect(gunzipSync(body).toString()).toBe("plain");
});
