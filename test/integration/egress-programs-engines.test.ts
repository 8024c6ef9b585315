import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { AT_ONCE_MS, expectNameDenied, sayRequest, startUpperCase, workspaceOfPrograms } from "../lab/egress-programs.ts";
import { TEST_IMAGES } from "../lab/images.ts";
import { type Origin, startWebOrigins, type WebOrigins } from "../lab/origins.ts";
import { type PodmanLab, startPodman } from "../lab/podman.ts";
import { busyboxEntries, packRootfs } from "../lab/rootfs.ts";
import { type JsonRun, runJson } from "../lab/run-json.ts";
import type { TempDirectory } from "../lab/temp-directory.ts";

const NAME = "files.example.com";

let inside: TempDirectory;
let origins: WebOrigins;
let upper: Origin;

beforeAll(async () => {
  origins = await startWebOrigins(NAME, sayRequest);
  upper = await startUpperCase(NAME);
  inside = await workspaceOfPrograms(origins);
});
afterAll(async () => {
  await origins[Symbol.asyncDispose]();
  await upper[Symbol.asyncDispose]();
  await inside[Symbol.asyncDispose]();
});

type Where = {
  /** The engine or the runtime, and the image. */
  readonly flags: () => readonly string[];
  /** How an address without a route is refused. */
  readonly noRoute: string;
};

/**
 * What works on every engine and runtime, and what works on none of them: UDP (beside name look-ups), ICMP, IPv6, addresses in place of names, ports that
 * no rule names, HTTP/2 without TLS, and TLS that names another server or none.
 */
function carriesTheSame({ flags, noRoute }: Where): void {
  const run = (own: readonly string[], command: readonly string[]): Promise<JsonRun> =>
    runJson([...flags(), "--workspace", inside.path, ...own, "--", ...command]);

  function expectCarried({ status, result }: JsonRun, origin: Origin, text: string): void {
    expect({ status, text: result.stdout.text, said: result.stderr.text }).toEqual({ status: 0, text, said: "" });
    expect(result.egress).toMatchObject([{ host: NAME, port: origin.port, rule: origin.rule, decision: "allowed", why: null }]);
  }

  it("carries http", async () => {
    const { http } = origins;
    const done = await run(["--allow", http.rule], ["wget", "-q", "-O-", `${http.url}/a`]);
    expectCarried(done, http, `GET /a ${NAME}:${http.port}\n`);
  });

  it("carries https", async () => {
    const { https } = origins;
    const done = await run(["--allow", https.rule, "-e", "SSL_CERT_FILE=/workspace/ca.pem"], ["/workspace/fetch", `${https.url}/a`]);
    expectCarried(done, https, `GET /a ${NAME}:${https.port}\n`);
  });

  it("carries a protocol of the program's own, whose halves end one after the other", async () => {
    expectCarried(await run(["--allow", upper.rule], ["/workspace/talk", NAME, `${upper.port}`, "one\ntwo"]), upper, "ONE\nTWO");
  });

  it("denies a name at once", async () => {
    const done = await run([], ["wget", "-q", "-O-", origins.http.url]);
    const said = `wget: bad address '${NAME}:${origins.http.port}'\n`;
    expect({ status: done.status, said: done.result.stderr.text }).toEqual({ status: 1, said });
    expectNameDenied(done, NAME);
  });

  it("refuses at once an address that no name stands for, and a port that no rule names", async () => {
    const { rule, port } = origins.http;
    const other = port === 9 ? 10 : 9;
    const script = `for place in "192.0.2.1 ${port}" "127.0.0.1 ${port}" "${NAME} ${other}"; do /workspace/talk $place x; done`;
    const { result } = await run(["--allow", rule], ["sh", "-c", script]);
    expect(result.stderr.text).toBe(`192.0.2.1: ${noRoute}\n127.0.0.1: Connection refused\n${NAME}: Connection refused\n`);
    expect(result.egress).toEqual([]);
    expect(result.phases.execute).toBeLessThan(AT_ONCE_MS);
  });
}

describe("a sandbox on Podman", () => {
  let lab: PodmanLab;
  beforeAll(async () => {
    lab = await startPodman();
    await lab.podman(
      ["import", "--change", "ENV=PATH=/usr/bin:/bin", "-", "localhost/busybox:1"],
      await packRootfs(await busyboxEntries()),
    );
  });
  afterAll(() => lab[Symbol.asyncDispose]());

  carriesTheSame({ flags: () => ["--host", lab.host, "--image", "localhost/busybox:1"], noRoute: "Network unreachable" });
});

describe("a sandbox under gVisor", () => {
  carriesTheSame({ flags: () => ["--runtime", "runsc", "--image", TEST_IMAGES.busybox], noRoute: "Host is unreachable" });
});
