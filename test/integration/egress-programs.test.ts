import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CERTIFICATE, expectNameDenied, sayRequest, startUpperCase, workspaceOfPrograms } from "../lab/egress-programs.ts";
import { type HostProgram, hostProgram, programPath } from "../lab/host-programs.ts";
import { TEST_IMAGES } from "../lab/images.ts";
import { startWebOrigins, type WebOrigins } from "../lab/origins.ts";
import { runJson } from "../lab/run-json.ts";
import type { TempDirectory } from "../lab/temp-directory.ts";

const NAME = "files.example.com";

type Program = {
  readonly name: string;
  readonly flags: readonly string[];
  /** Its command, which prints what is at a URL. */
  readonly command: (url: string) => readonly string[];
  /** What it says on standard error of every TLS. */
  readonly remark?: string;
  /** How it ends, and what it says, when the name does not exist. */
  readonly denied: { readonly status: number; readonly says: RegExp };
};

const BASE = ["--image", TEST_IMAGES.debian];
const BUSYBOX = ["--image", TEST_IMAGES.busybox];

const PROGRAMS: readonly Program[] = [
  {
    name: "curl",
    flags: BASE,
    command: (url) => ["curl", "-sS", "--cacert", CERTIFICATE, url],
    denied: { status: 6, says: /Could not resolve host: files\.example\.com/ },
  },
  {
    name: "wget of busybox",
    flags: BUSYBOX,
    command: (url) => ["wget", "-q", "-O-", url],
    remark: "wget: note: TLS certificate validation not implemented\n",
    denied: { status: 1, says: /bad address 'files\.example\.com/ },
  },
  {
    name: "urllib of Python",
    flags: [...BASE, "-e", `SSL_CERT_FILE=${CERTIFICATE}`],
    command: (url) => ["python3", "-c", "import sys, urllib.request as u; print(u.urlopen(sys.argv[1]).read().decode(), end='')", url],
    denied: { status: 1, says: /Name or service not known/ },
  },
  {
    name: "fetch of Node.js",
    flags: [...BASE, "-e", `NODE_EXTRA_CA_CERTS=${CERTIFICATE}`],
    command: (url) => ["node", "-e", "fetch(process.argv[1]).then((a) => a.text()).then((t) => process.stdout.write(t))", url],
    denied: { status: 1, says: /ENOTFOUND files\.example\.com/ },
  },
  {
    name: "net/http of Go",
    flags: [...BUSYBOX, "-e", `SSL_CERT_FILE=${CERTIFICATE}`],
    command: (url) => ["/workspace/fetch", url],
    denied: { status: 1, says: /lookup files\.example\.com on 127\.0\.0\.1:53: no such host/ },
  },
];

let inside: TempDirectory;
let origins: WebOrigins;
let gnuWget: HostProgram;

beforeAll(async () => {
  origins = await startWebOrigins(NAME, sayRequest);
  gnuWget = await hostProgram(await programPath("wget"));
  inside = await workspaceOfPrograms(origins);
});
afterAll(async () => {
  await origins[Symbol.asyncDispose]();
  await gnuWget[Symbol.asyncDispose]();
  await inside[Symbol.asyncDispose]();
});

const run = (flags: readonly string[], command: readonly string[]) => runJson([...flags, "--workspace", inside.path, "--", ...command]);

/** Over http and https with the rule for each, and then without any. */
async function tryProgram({ flags, command, denied, remark }: Omit<Program, "name">): Promise<void> {
  for (const origin of [origins.http, origins.https]) {
    const isPlain = origin === origins.http;
    const { status, result } = await run([...flags, "--allow", origin.rule], command(`${origin.url}/a?b=c`));
    expect(result.stderr.text).toBe(isPlain ? "" : (remark ?? ""));
    expect({ status, text: result.stdout.text }).toEqual({ status: 0, text: `GET /a?b=c ${NAME}:${origin.port}\n` });
    expect(result.egress).toMatchObject([
      { host: NAME, port: origin.port, rule: origin.rule, decision: "allowed", why: null, requests: isPlain ? 1 : 0 },
    ]);
    expect(result.egress[0]?.bytesIn).toBeGreaterThan(0);
  }
  const done = await run(flags, command(origins.http.url));
  expect(done.result.stderr.text).toMatch(denied.says);
  expect({ status: done.status, text: done.result.stdout.text }).toEqual({ status: denied.status, text: "" });
  expectNameDenied(done, NAME);
  expect(done.result.egress).toMatchObject([{ connections: 1 }]);
}

describe("a program that knows nothing of the sandbox gets what one rule allows, and an error about the name at once without it", () => {
  it.each(PROGRAMS)("$name", tryProgram);

  it("wget", () =>
    tryProgram({
      flags: [...BASE, ...gnuWget.flags],
      command: (url) => [...gnuWget.command, "-q", "-O-", "--ca-certificate", CERTIFICATE, url],
      denied: { status: 4, says: /^$/ },
    }));
});

describe("Go's library", () => {
  it("answers with the resolver of its own, not with the C library's", async () => {
    const flags = [...BUSYBOX, "--allow", origins.http.rule, "-e", "GODEBUG=netdns=2"];
    const { result } = await run(flags, ["/workspace/fetch", origins.http.url]);
    expect(result.stderr.text).toContain(`hostLookupOrder(${NAME}) = files,dns`);
  });
});

describe("musl's resolver", () => {
  it("finds an allowed name in a static program, and a protocol of the program's own passes as it is", async () => {
    await using origin = await startUpperCase(NAME);
    const { status, result } = await run([...BUSYBOX, "--allow", origin.rule], ["/workspace/talk", NAME, `${origin.port}`, "one\ntwo"]);
    expect({ status, text: result.stdout.text }).toEqual({ status: 0, text: "ONE\nTWO" });
    expect(result.egress).toMatchObject([{ host: NAME, port: origin.port, decision: "allowed", requests: 0, bytesOut: 7, bytesIn: 7 }]);
    const denied = await run(BUSYBOX, ["/workspace/talk", NAME, `${origin.port}`, "one"]);
    expect({ status: denied.status, says: denied.result.stderr.text }).toEqual({ status: 1, says: `${NAME}: Name does not resolve\n` });
    expectNameDenied(denied, NAME);
    expect(denied.result.egress).toMatchObject([{ connections: 1 }]);
  });

  it("finds it in a program that is linked dynamically", async () => {
    const flags = ["--image", TEST_IMAGES.musl, "--allow", origins.http.rule];
    const { result } = await runJson([...flags, "--", "/usr/bin/resolve", NAME, "other.example.com"]);
    expect(result.stdout.text).toMatch(/^files\.example\.com 127\.\d+\.\d+\.\d+\n$/);
    expect(result.stderr.text).toBe("other.example.com: Name does not resolve\n");
    expect(result.egress).toMatchObject([{ host: "other.example.com", port: null, decision: "denied" }]);
  });
});

describe("a client that ends its half after its request", () => {
  it("gets the answer all the same", async () => {
    const { port, rule } = origins.http;
    const request = `GET /a HTTP/1.1\r\nHost: ${NAME}:${port}\r\n\r\n`;
    const { result } = await run([...BUSYBOX, "--allow", rule], ["/workspace/talk", NAME, `${port}`, request]);
    expect(result.stdout.text).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
    expect(result.stdout.text).toContain(`GET /a ${NAME}:${port}\n`);
  });
});
