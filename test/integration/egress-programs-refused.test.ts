import { createSecureServer } from "node:http2";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { makeCertificate } from "../lab/certificates.ts";
import { TEST_IMAGES } from "../lab/images.ts";
import { type Origin, serveAt, startWebOrigins, type WebOrigins } from "../lab/origins.ts";
import { runJson } from "../lab/run-json.ts";

const NAME = "files.example.com";

let origins: WebOrigins;
let secondVersion: Origin;
beforeAll(async () => {
  origins = await startWebOrigins(NAME, (_request, response) => response.end("never read\n"));
  const server = createSecureServer(await makeCertificate([NAME]), (_request, response) => response.end());
  secondVersion = await serveAt(NAME, "https", server);
});
afterAll(async () => {
  await origins[Symbol.asyncDispose]();
  await secondVersion[Symbol.asyncDispose]();
});

const SENDING = `
import socket, sys
def attempt(family, kind, *place):
    try:
        with socket.socket(family, kind) as one:
            one.connect(place)
            one.send(b"x")
            one.settimeout(2)
            one.recv(1)
    except OSError as error:
        print(error.errno)
allowed = socket.gethostbyname(sys.argv[1])
attempt(socket.AF_INET, socket.SOCK_DGRAM, "192.0.2.1", 123)
attempt(socket.AF_INET, socket.SOCK_DGRAM, allowed, int(sys.argv[2]))
attempt(socket.AF_INET, socket.SOCK_STREAM, "192.0.2.1", 80)
attempt(socket.AF_INET6, socket.SOCK_STREAM, "2001:db8::1", 80)
`;
const NO_SERVER_NAME = `
import socket, ssl, sys
context = ssl._create_unverified_context()
try:
    context.wrap_socket(socket.create_connection((sys.argv[1], int(sys.argv[2]))))
except ssl.SSLError as error:
    print(error.reason)
`;

describe.each([
  ["", [], "101"],
  [" under gVisor", ["--runtime", "runsc"], "113"],
] as const)("what no rule of a host lets through%s", (_where, runtime, noRoute) => {
  const run = (origin: Origin, command: readonly string[]) =>
    runJson([...runtime, "--image", TEST_IMAGES.debian, "--allow", origin.rule, "--", ...command]);
  const denied = (origin: Origin, why: string) => ({ host: NAME, port: origin.port, decision: "denied", why });

  it("is HTTP/2 without TLS; with TLS it passes", async () => {
    const { result } = await run(origins.http, ["curl", "-sS", "--http2-prior-knowledge", origins.http.url]);
    expect({ code: result.exit.code, text: result.stdout.text }).toEqual({ code: 56, text: "" });
    expect(result.egress).toContainEqual(expect.objectContaining(denied(origins.http, "it speaks HTTP/2.0 without TLS")));
    const passed = await run(secondVersion, ["curl", "-sSk", "-w", "%{http_version} %{http_code}", secondVersion.url]);
    expect(passed.result.stdout.text).toBe("2 200");
  });

  it("is TLS that names another server, or none", async () => {
    const { https } = origins;
    const other = `other.example.com:${https.port}`;
    const wrong = await run(https, ["curl", "-sSk", "--connect-to", `${other}:${NAME}:${https.port}`, `https://${other}`]);
    expect({ code: wrong.result.exit.code, said: wrong.result.stderr.text }).toEqual({
      code: 35,
      said: expect.stringContaining("unrecognized name"),
    });
    expect(wrong.result.egress).toContainEqual(expect.objectContaining(denied(https, "its TLS names the server other.example.com")));
    const silent = await run(https, ["python3", "-c", NO_SERVER_NAME, NAME, `${https.port}`]);
    expect(silent.result.stdout.text).toBe("TLSV1_UNRECOGNIZED_NAME\n");
    expect(silent.result.egress).toContainEqual(expect.objectContaining(denied(https, "its TLS names no server")));
  });

  it("is UDP, an address in place of a name, and IPv6", async () => {
    const { result } = await run(origins.http, ["python3", "-c", SENDING, NAME, `${origins.http.port}`]);
    expect(result.stdout.text).toBe(`${noRoute}\n111\n${noRoute}\n${noRoute}\n`);
    expect(result.egress).toEqual([]);
  });

  it("is ICMP, for which no program inside may open a socket", async () => {
    const script = "import socket; socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)";
    const { status, result } = await run(origins.http, ["python3", "-c", script]);
    expect({ status, said: result.stderr.text }).toEqual({ status: 1, said: expect.stringContaining("PermissionError") });
  });
});
