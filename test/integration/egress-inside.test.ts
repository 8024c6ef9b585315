import { readFile, writeFile } from "node:fs/promises";
import type { IncomingMessage, ServerResponse } from "node:http";
import { text } from "node:stream/consumers";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { runCli } from "../lab/cli.ts";
import { TEST_IMAGES } from "../lab/images.ts";
import { startWebOrigins, type WebOrigins } from "../lab/origins.ts";
import { runJson } from "../lab/run-json.ts";
import { type TempDirectory, tempDirectory } from "../lab/temp-directory.ts";

const NAME = "api.example.com";
let origins: WebOrigins;
let place: TempDirectory;
let arrived: string[] = [];

function answer(request: IncomingMessage, response: ServerResponse): void {
  const read = text(request).catch(() => "broken off");
  void read.then((body) => {
    arrived.push(`${request.method ?? ""} ${request.url ?? ""} HTTP/${request.httpVersion} ${body.length}`);
    response
      .writeHead(200, { "Alt-Svc": 'h3=":443"', "Keep-Alive": "timeout=99", "X-Kept": "yes" })
      .end(`answer to ${request.url ?? ""}\n`);
  });
}

beforeAll(async () => {
  [origins, place] = await Promise.all([startWebOrigins(NAME, answer), tempDirectory()]);
  await writeFile(place.join("ca.pem"), origins.certificate.cert);
});
afterAll(async () => {
  await origins[Symbol.asyncDispose]();
  await place[Symbol.asyncDispose]();
});
beforeEach(() => {
  arrived = [];
});

/** Writes a task file with one rule for the origin inside of TLS. */
async function taskFile(more: string): Promise<string> {
  const rule = `{ host: ${NAME}, port: ${origins.https.port}, address: 127.0.0.1, ca: ./ca.pem${more} }`;
  await writeFile(place.join("task.yaml"), `version: 1\nsandbox: { memory: 300m, timeout: 60s }\negress: [${rule}]\n`);
  return place.join("task.yaml");
}

const shell = (script: string): readonly string[] => ["--image", TEST_IMAGES.debian, "--", "sh", "-c", script];
const textOf = ({ result }: Awaited<ReturnType<typeof runJson>>): string => ("text" in result.stdout ? (result.stdout.text ?? "") : "");

describe("where a rule says what may be requested", () => {
  it("programs trust the run's own authority without being told, and the origin gets HTTP/1.1", async () => {
    const url = origins.https.url;
    const script = [
      `curl -sS --http2 ${url}/v1/curl`,
      `python3 -c 'import urllib.request as u; print(u.urlopen("${url}/v1/python").read().decode(), end="")'`,
      `node -e 'fetch("${url}/v1/node").then((a) => a.text()).then((t) => process.stdout.write(t))'`,
      `git ls-remote ${url}/v1/git 2>&1 | grep -c certificate`,
    ].join("\n");
    const run = await runJson(["-f", await taskFile(', paths: ["/v1/**"]'), ...shell(script)]);
    expect(textOf(run)).toBe("answer to /v1/curl\nanswer to /v1/python\nanswer to /v1/node\n0\n");
    expect(arrived.slice(0, 3)).toEqual(["GET /v1/curl HTTP/1.1 0", "GET /v1/python HTTP/1.1 0", "GET /v1/node HTTP/1.1 0"]);
  });

  it("each request of a kept connection is judged by itself, and what is refused never arrives", async () => {
    const url = origins.https.url;
    const script = `curl -sS ${url}/v1/a ${url}/v2/b ${url}/v1/c; curl -sS -X DELETE ${url}/v1/a; curl -sS --path-as-is ${url}/v1/%2e%2e/v2`;
    const run = await runJson(["-f", await taskFile(', methods: [GET], paths: ["/v1/**"]'), ...shell(script)]);
    expect(textOf(run)).toMatch(
      /^answer to \/v1\/a\n\{"error":"sandbox: denied".*"the path \/v2\/b is not allowed".*\}\nanswer to \/v1\/c\n\{.*DELETE.*\}\n\{.*dot segment.*\}\n$/s,
    );
    expect(arrived).toEqual(["GET /v1/a HTTP/1.1 0", "GET /v1/c HTTP/1.1 0"]);
    const denied = run.result.egress.filter(({ decision }) => decision === "denied");
    expect(denied.reduce((sum, { connections }) => sum + connections, 0)).toBe(3);
  });

  it("a certificate that the host does not trust is as bad as it is without a sandbox", async () => {
    const run = await runJson(["--rate", "100/s", "--allow", origins.https.rule, ...shell(`curl -sS ${origins.https.url}/v1/a`)]);
    expect(textOf(run)).toMatch(/its TLS can't be trusted: self-signed certificate/);
    expect(arrived).toEqual([]);
  });

  it("headers of one hop stay there, and an origin can't name another way to itself", async () => {
    const script = `curl -sS -i ${origins.https.url}/v1/a -H 'Connection: X-Gone' -H 'X-Gone: x'`;
    const run = await runJson(["-f", await taskFile(", methods: [GET]"), ...shell(script)]);
    expect(textOf(run)).toMatch(/X-Kept: yes/);
    expect(textOf(run)).not.toMatch(/alt-svc|timeout=99/i);
  });

  it("a rate answers 429 with the time to wait, and bytes end at their limit", async () => {
    const url = origins.https.url;
    const script = `for n in 1 2 3; do curl -sS -o /dev/null -w '%{http_code} %header{retry-after}\\n' ${url}/v1/$n; done`;
    const rated = await runJson(["-f", await taskFile(", rate: 2/h"), ...shell(script)]);
    expect(textOf(rated)).toMatch(/^200 \n200 \n429 \d+\n$/);
    const upload = `head -c 100000 /dev/zero | curl -sS -o /dev/null -w '%{http_code}\\n' -T - ${url}/v1/up; curl -sS -o /dev/null -w '%{http_code}\\n' ${url}/v1/small`;
    const bounded = await runJson(["-f", await taskFile(", methods: [GET, PUT], maxBytes: 10k"), ...shell(upload)]);
    expect(textOf(bounded)).not.toMatch(/^200/);
    expect(JSON.stringify(bounded.result.egress)).toContain("bytes are used up");
    expect(arrived.filter((line) => line.includes("/v1/up"))).toEqual([]);
  });

  it("a run ends when it has sent more than --max-egress", async () => {
    const upload = `head -c 5000000 /dev/zero | curl -sS -T - ${origins.http.url}/up; sleep 1000`;
    const run = await runJson(["--max-egress", "1m", "--allow", origins.http.rule, ...shell(upload)]);
    expect(run.result).toMatchObject({ reason: "egress-limit", limits: { egress: { limit: 1_048_576, hit: true } } });
    expect(run.result.limits.egress.peak).toBeLessThanOrEqual(1_048_576);
  });
});

describe("a task file", () => {
  it("gives limits that flags narrow and never widen, and a deny that beats every allow", async () => {
    const file = await taskFile("");
    expect((await runJson(["-f", file, "--memory", "200m", "--", "true"])).result.limits.memory.limit).toBe(200 * 1024 * 1024);
    expect((await runJson(["-f", file, "--", "true"])).result.limits.memory.limit).toBe(300 * 1024 * 1024);
    for (const flags of [
      ["--memory", "1g"],
      ["--timeout", "5m"],
      ["--allow", "a.example.com"],
      ["--allow-private"],
      ["--secret", "HOME@a.example.com"],
    ])
      expect(await runCli(["run", "-f", file, ...flags, "--", "true"])).toMatchObject({
        status: 64,
        stderr: expect.stringMatching(/USAGE/),
      });
    await writeFile(file, 'version: 1\negress: [{ host: "**.example.com" }, { host: bad.example.com, deny: true }]\n');
    const run = await runJson(["-f", file, "--", "sh", "-c", "nslookup good.example.com; nslookup bad.example.com"]);
    expect(textOf(run)).toMatch(/Address:\s+127\.64\./);
    expect(run.result.egress).toMatchObject([{ host: "bad.example.com", decision: "denied", why: expect.stringContaining("denies it") }]);
  });

  it.each([
    ['egress: [{ host: "*.com" }]', /task\.yaml:2/, "BAD_RULE"],
    ["egress: [{ host: a.example.com, rate: 5 }]", /task\.yaml:2.*rate/, "BAD_"],
    ["egress: [{ host: a.example.com, ca: ./none.pem }]", /task\.yaml:2:\d+.*none\.pem/, "BAD_TASK_FILE"],
    ["egres: []", /task\.yaml:2:1.*egres/, "BAD_TASK_FILE"],
  ])("that says %s is refused with its place, before anything starts", async (line, message, code) => {
    await writeFile(place.join("task.yaml"), `version: 1\n${line}\n`);
    const { status, stderr } = await runCli(["run", "-f", place.join("task.yaml"), "--", "true"]);
    expect({ status, stderr }).toEqual({ status: 64, stderr: expect.stringMatching(message) });
    expect(stderr).toContain(code);
  });
});

describe("--learn", () => {
  it("writes the narrowest rules that cover what was used, which then allow that and nothing more", async () => {
    const url = origins.http.url;
    const visits = `for n in $(seq 1 30); do curl -sS -o /dev/null ${url}/item/$n; done; curl -sS -o /dev/null -X POST ${url}/item/1`;
    const learned = place.join("learned.yaml");
    await runJson(["--learn", learned, "--allow", origins.http.rule, ...shell(visits)]);
    const written = await readFile(learned, "utf8");
    expect(written).toContain("/item/*");
    expect(written).not.toContain("/item/7");
    arrived = [];
    const again = `curl -sS ${url}/item/99; curl -sS ${url}/other; curl -sS -X PUT ${url}/item/1`;
    const run = await runJson(["-f", learned, ...shell(again)]);
    expect(textOf(run)).toMatch(/^answer to \/item\/99\n\{.*\/other.*\}\n\{.*PUT.*\}\n$/s);
    expect(arrived).toEqual(["GET /item/99 HTTP/1.1 0"]);
  });

  it("refuses a place where it can't write before anything starts", async () => {
    const { status } = await runCli(["run", "--learn", "/does/not/exist.yaml", "--allow", "a.example.com", "--", "true"]);
    expect(status).toBe(73);
  });
});
