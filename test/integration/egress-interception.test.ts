import { createHash } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { createServer as createHttpServer, type IncomingMessage, type RequestListener, type ServerResponse } from "node:http";
import { createServer as createHttpsServer } from "node:https";
import { Readable } from "node:stream";
import { buffer } from "node:stream/consumers";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { createRunAuthority } from "../../src/identity/run-authority.ts";
import { startCli } from "../lab/cli.ts";
import { TEST_IMAGES } from "../lab/images.ts";
import { type Origin, serveAt } from "../lab/origins.ts";
import { runJson } from "../lab/run-json.ts";
import { type TempDirectory, tempDirectory } from "../lab/temp-directory.ts";
import { agreeToWebSockets, handshake } from "../lab/web-socket-server.ts";

const NAME = "api.example.com";
const MEBIBYTE = 1024 * 1024;
/** So large that a host process which kept one of them would be past the bound on its memory. */
const BODY_MIB = 192;
const WHOLE = "0123456789".repeat(10);
let place: TempDirectory;
let origin: Origin;
let plain: Origin;
let arrived: string[] = [];

/** What each path of the origin answers. */
const answers: Readonly<Record<string, RequestListener>> = {
  "/none": (_request, response) => response.writeHead(204, { "X-Kept": "yes" }).end(),
  "/same": (_request, response) => response.writeHead(304, { ETag: '"x"' }).end(),
  "/part": (request, response) => {
    const [, from = 0, to = WHOLE.length - 1] = (/^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? "") ?? []).map(Number);
    const status = request.headers.range === undefined ? 200 : 206;
    response
      .writeHead(status, { "Content-Length": to + 1 - from, "Content-Range": `bytes ${from}-${to}/${WHOLE.length}` })
      .end(WHOLE.slice(from, to + 1));
  },
  "/down": (_request, response) => pour(response, BODY_MIB),
  "/up": (request, response) => {
    let bytes = 0;
    request.on("data", (chunk: Buffer) => {
      bytes += chunk.length;
    });
    request.on("end", () => response.end(`${bytes} with ${request.headers["transfer-encoding"] ?? "a length"}`));
  },
};

/** As many MiB of zeros, at the reader's pace. */
function pour(response: ServerResponse, count: number): void {
  const piece = Buffer.alloc(MEBIBYTE);
  Readable.from(Array.from({ length: count }, () => piece)).pipe(response);
}

function onRequest(request: IncomingMessage, response: ServerResponse): void {
  arrived.push(`${request.method ?? ""} ${request.url ?? ""}`);
  const answer = answers[request.url ?? ""];
  if (answer !== undefined) return void answer(request, response);
  void buffer(request).then(
    (body) =>
      response
        .writeHead(200, { "X-Kept": "yes" })
        .end(request.method === "HEAD" ? "" : `read ${body.length} ${createHash("sha256").update(body).digest("hex")}\n`),
    () => undefined,
  );
}

/** A server that shows the certificate of an authority made for the occasion; `ca` is what to trust. */
async function startTls(names: readonly string[], now = Date.now): Promise<{ readonly origin: Origin; readonly ca: string }> {
  const authority = await createRunAuthority({ names, now, lifetimeMs: 3_600_000 });
  const leaf = await authority.leafFor(names[0] ?? "");
  const server = createHttpsServer({ key: leaf.key, cert: leaf.cert }, onRequest);
  agreeToWebSockets(server, (request) => arrived.push(`upgrade ${request.url ?? ""}`));
  return { origin: await serveAt(NAME, "https", server), ca: authority.certificate };
}

beforeAll(async () => {
  place = await tempDirectory();
  const started = await startTls([NAME]);
  origin = started.origin;
  const server = createHttpServer(onRequest);
  agreeToWebSockets(server, (request) => arrived.push(`upgrade ${request.url ?? ""}`));
  plain = await serveAt(NAME, "http", server);
  await writeFile(place.join("ca.pem"), started.ca);
});
afterAll(async () => {
  await origin[Symbol.asyncDispose]();
  await plain[Symbol.asyncDispose]();
  await place[Symbol.asyncDispose]();
});
beforeEach(() => {
  arrived = [];
});

/** A task file with a rule that has to look inside of TLS, and the same for plain HTTP. */
async function file(more = ", paths: [/**]", ca = "ca.pem", port = origin.port): Promise<readonly string[]> {
  const rules = [port, plain.port].map((each) => `{ host: ${NAME}, port: ${each}, address: 127.0.0.1, ca: ./${ca}${more} }`);
  await writeFile(place.join("task.yaml"), `version: 1\negress: [${rules.join(", ")}]\n`);
  return ["-f", place.join("task.yaml"), "--image", TEST_IMAGES.debian];
}

const textOf = ({ result }: Awaited<ReturnType<typeof runJson>>): string => result.stdout.text ?? "";
const sh = async (flags: readonly string[], script: string) => runJson([...flags, "--", "sh", "-c", script]);

describe("inside of TLS", () => {
  it("HEAD, 204, 304 and ranges are what they are without a sandbox", async () => {
    const show = "-sS -w '|%{http_code} %header{content-length} %header{x-kept} %header{etag} %header{content-range}\\n'";
    const script = [
      `curl ${show} -I -o /dev/null ${origin.url}/x`,
      `curl ${show} ${origin.url}/none`,
      `curl ${show} ${origin.url}/same -H 'If-None-Match: "x"'`,
      `curl ${show} ${origin.url}/part -r 3-6`,
    ].join("\n");
    const lines = textOf(await sh(await file(), script)).split("\n");
    expect(lines.slice(0, 4)).toEqual(["|200  yes  ", "|204  yes  ", '|304   "x" ', "3456|206 4   bytes 3-6/100"]);
  });

  it("bodies come whole: with `Expect: 100-continue`, in chunks, and of one byte", async () => {
    const script = [
      "head -c 3000000 /dev/zero > big",
      `curl -sS -H 'Expect: 100-continue' --data-binary @big ${origin.url}/a`,
      `curl -sS -H 'Transfer-Encoding: chunked' -T big ${origin.url}/b`,
      `(printf a; sleep 0.1; printf b) | curl -sS -T - ${origin.url}/c`,
      `curl -sS -d x ${origin.url}/d`,
    ].join("\n");
    const sum = (text: string | Buffer): string => `${text.length} ${createHash("sha256").update(text).digest("hex")}`;
    const expected = [Buffer.alloc(3_000_000), Buffer.alloc(3_000_000), "ab", "x"].map((body) => `read ${sum(body)}\n`);
    expect(textOf(await sh(await file(), script))).toBe(expected.join(""));
    expect(arrived).toEqual(["POST /a", "PUT /b", "PUT /c", "POST /d"]);
  });

  it("a large body passes both ways in bounded memory of the host process, also where it is searched for secrets", {
    timeout: 120_000,
  }, async () => {
    const script = [
      `curl -sS ${origin.url}/down | wc -c`,
      `head -c ${BODY_MIB * MEBIBYTE} /dev/zero | curl -sS -T - ${origin.url}/up; echo`,
      `curl -sS ${origin.url}/down -H "Authorization: $TOKEN" | wc -c`,
      `head -c ${BODY_MIB * MEBIBYTE} /dev/zero | curl -sS -T - ${origin.url}/up -H "Authorization: $TOKEN"; echo`,
      "echo do''ne; read line",
    ].join("\n");
    const flags = [...(await file()), "-i", "--events"];
    const secret = `secrets: { TOKEN: { from: env:TOKEN, hosts: [${NAME}] } }\n`;
    await writeFile(place.join("task.yaml"), `${await readFile(place.join("task.yaml"), "utf8")}${secret}`);
    const cli = startCli(["run", ...flags, "--", "sh", "-c", script], { env: { TOKEN: "k3y-with+odd/chars=-0123456789" } });
    await cli.waitFor("done\\n");
    const status = await readFile(`/proc/${cli.pid}/status`, "utf8");
    cli.child.stdin.end("\n");
    const { stdout } = await cli.done;
    const said = stdout
      .split("\n")
      .flatMap((line) => (line.includes('"type":"stdout"') ? [(JSON.parse(line) as { text: string }).text] : []))
      .join("");
    const size = BODY_MIB * MEBIBYTE;
    expect(said).toBe(`${size}\n${size} with chunked\n${size}\n${size} with chunked\ndone\n`);
    expect((Number(/VmHWM:\s+(\d+)/.exec(status)?.[1]) * 1024) / MEBIBYTE).toBeLessThan(256);
  });

  it("a WebSocket is carried, with and without TLS, and one that no rule allows is refused", async () => {
    const program = (url: Origin, target: string): string =>
      [
        "import socket, ssl",
        `s = socket.create_connection(("${NAME}", ${url.port}))`,
        url === origin ? `s = ssl.create_default_context().wrap_socket(s, server_hostname="${NAME}")` : "",
        `s.sendall(${JSON.stringify(handshake(`${NAME}:${url.port}`, target))}.encode())`,
        "got = b''",
        "while b'\\r\\n\\r\\n' not in got: got += s.recv(4096)",
        "print(got.split()[1].decode())",
        "if b' 101 ' in got:",
        "  s.sendall(b'\\x81\\x85\\x00\\x00\\x00\\x00hello'); n = b''",
        "  while len(n) < 11: n += s.recv(100)",
        "  print(n[-5:].decode())",
      ].join("\n");
    const inside = async (flags: readonly string[], target: string): Promise<readonly string[]> => {
      const runs = [];
      for (const url of [plain, origin]) runs.push(await runJson([...flags, "--", "python3", "-c", program(url, target)]));
      return runs.map(textOf);
    };
    expect(await inside(await file(", upgrade: websocket, paths: [/chat]"), "/chat")).toEqual(["101\nhello\n", "101\nhello\n"]);
    expect(await inside(await file(", upgrade: websocket, paths: [/chat]"), "/other")).toEqual(["403\n", "403\n"]);
    expect(await inside(await file(), "/chat")).toEqual(["403\n", "403\n"]);
    expect(arrived).toEqual(["upgrade /chat", "upgrade /chat"]);
  });

  it("a WebSocket that the task breaks off ends at its origin, and the run goes on", async () => {
    const program = [
      "import socket, ssl, struct",
      "def connect():",
      `  s = socket.create_connection(("${NAME}", ${origin.port}))`,
      "  s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))",
      `  return ssl.create_default_context().wrap_socket(s, server_hostname="${NAME}")`,
      "for n in range(3):",
      "  s = connect()",
      `  s.sendall(${JSON.stringify(handshake(`${NAME}:${origin.port}`, "/chat"))}.encode())`,
      "  print(s.recv(4096).split()[1].decode()); s.sendall(b'x' * 100000); s.close()",
    ].join("\n");
    const run = await runJson([...(await file(", upgrade: websocket")), "--", "python3", "-c", program]);
    expect(run.result).toMatchObject({ reason: "completed", exit: { code: 0 }, stdout: { text: "101\n101\n101\n" } });
    expect(arrived).toEqual(["upgrade /chat", "upgrade /chat", "upgrade /chat"]);
  });

  it("an upgrade to HTTP/2 is passed over where no rule speaks of upgrades, and refused where one does", async () => {
    const script = `curl -sS --http2 -w '%{http_code} %{http_version}\\n' -o /dev/null ${plain.url}/x`;
    expect(textOf(await sh(await file(), script))).toBe("200 1.1\n");
    const run = await sh(await file(", upgrade: websocket"), script);
    expect(textOf(run)).toBe("403 1.1\n");
    expect(JSON.stringify(run.result.egress)).toContain("h2c");
    expect(arrived).toEqual(["GET /x"]);
  });

  it.each([
    ["has expired", [NAME], () => Date.now() - 3 * 86_400_000, /expired/],
    ["is for another name", ["other.example.com"], Date.now, /does not match|altnames/i],
  ])("an origin whose certificate %s is refused, though its authority is trusted", async (_what, names, now, why) => {
    const { origin: wrong, ca } = await startTls(names, now);
    await using _wrong = wrong;
    await writeFile(place.join("wrong.pem"), ca);
    const run = await sh(await file(", paths: [/**]", "wrong.pem", wrong.port), `curl -sS ${wrong.url}/x`);
    expect(textOf(run)).toMatch(/"error":"sandbox: unreachable"/);
    expect(textOf(run)).toMatch(why);
    expect(arrived).toEqual([]);
  });

  it("connections end at the rule's number of them, and a kept one counts once", async () => {
    const get = `curl -sS -o /dev/null -w '%{http_code} ' ${origin.url}/x`;
    const run = await sh(await file(", methods: [GET], maxConnections: 2"), `${get} -o /dev/null ${origin.url}/y; ${get}; ${get}; ${get}`);
    expect(textOf(run)).toMatch(/^200 200 200 000 000 $/);
    expect(run.result.egress).toMatchObject([
      { decision: "allowed", connections: 2, requests: 3 },
      { decision: "denied", connections: 2, why: "the rule's connections are used up" },
    ]);
  });

  it("an image without certificates gets a bundle of its own: the run's authority and those that everybody trusts", async () => {
    const flags = (await file()).filter((word) => word !== TEST_IMAGES.debian && word !== "--image");
    const script = `ls /etc/ssl; grep -c BEGIN "$SSL_CERT_FILE"; wget -q -O - ${origin.url}/x`;
    const said = textOf(await sh([...flags, "--image", TEST_IMAGES.busybox], script));
    expect(Number(/^(\d+)$/m.exec(said)?.[1])).toBeGreaterThan(100);
    expect(said).toMatch(/read 0 [0-9a-f]{64}\n$/);
    expect(arrived).toEqual(["GET /x"]);
  });
});
