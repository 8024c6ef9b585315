import { spawnSync } from "node:child_process";
import { describe, expect, it } from "vitest";
import { joinFragments, read, readByteByByte, records } from "./hello-bytes.ts";
import { captureHello, startClient, startNode } from "./hello-clients.ts";

/** Clients as they are, each with the name and the protocols it was told to send. */
const LONG_NAME = `${"long-label.".repeat(22)}example`;
const PROTOCOLS = Array.from({ length: 300 }, (_, index) => `protocol-${index}-${"x".repeat(80)}`);
const openssl =
  (...args: readonly string[]) =>
  (port: number) =>
    startClient(["openssl", "s_client", "-connect", `127.0.0.1:${port}`, ...args]);
const curl =
  (...args: readonly string[]) =>
  (port: number) =>
    startClient(["curl", "-sk", "--noproxy", "*", "--resolve", `curl.example:${port}:127.0.0.1`, `https://curl.example:${port}/`, ...args]);
const python = (name: string) => (port: number) =>
  startClient([
    "python3",
    "-c",
    `import socket, ssl; ssl._create_unverified_context().wrap_socket(socket.create_connection(("127.0.0.1", ${port})), server_hostname="${name}")`,
  ]);

const CLIENTS: readonly (readonly [string, string, (port: number) => unknown, string | undefined, readonly string[]])[] = [
  [
    "node with a name and protocols",
    "node",
    startNode({ servername: "Api.Example.com", ALPNProtocols: ["h2", "http/1.1"] }),
    "api.example.com",
    ["h2", "http/1.1"],
  ],
  ["node without a name", "node", startNode({}), undefined, []],
  ["node with an empty name", "node", startNode({ servername: "" }), undefined, []],
  ["node with a long name", "node", startNode({ servername: LONG_NAME }), LONG_NAME, []],
  ["node with TLS 1.2 only", "node", startNode({ servername: "old.example", maxVersion: "TLSv1.2" }), "old.example", []],
  ["node with TLS 1.3 only", "node", startNode({ servername: "new.example", minVersion: "TLSv1.3" }), "new.example", []],
  [
    "node with 300 protocols in two records",
    "node",
    startNode({ servername: "many.example", ALPNProtocols: PROTOCOLS }),
    "many.example",
    PROTOCOLS,
  ],
  ["openssl with a name", "openssl", openssl("-servername", "ossl.example", "-alpn", "http/1.1,h2"), "ossl.example", ["http/1.1", "h2"]],
  ["openssl without a name", "openssl", openssl("-noservername"), undefined, []],
  ["openssl with TLS 1.2 and OCSP", "openssl", openssl("-tls1_2", "-servername", "ocsp.example", "-status"), "ocsp.example", []],
  [
    "openssl with many groups",
    "openssl",
    openssl("-servername", "groups.example", "-groups", "X448:X25519:P-521:P-384:P-256:ffdhe2048"),
    "groups.example",
    [],
  ],
  [
    "openssl in records of 512 bytes",
    "openssl",
    openssl("-servername", "small.example", "-max_send_frag", "512", "-alpn", PROTOCOLS.slice(0, 20).join()),
    "small.example",
    PROTOCOLS.slice(0, 20),
  ],
  ["curl", "curl", curl("--http1.1"), "curl.example", ["http/1.1"]],
  ["python", "python3", python("py.example"), "py.example", []],
];

function isInstalled(program: string): boolean {
  return program === "node" || spawnSync(program, ["--version"]).error === undefined;
}

describe("createHelloReader reads what is sent by", () => {
  for (const [what, program, start, name, protocols] of CLIENTS) {
    it.skipIf(!isInstalled(program))(what, async () => {
      const bytes = await captureHello(start);
      const expected = { kind: "hello", serverName: name, alpn: protocols, encrypted: false };
      expect(read(bytes)).toEqual(expected);
      expect(readByteByByte(bytes)).toEqual(expected);
      for (const size of [1, 2, 3, 7, 100]) expect(read(records(joinFragments(bytes), size))).toEqual(expected);
      for (let end = 0; end < Math.min(bytes.length, 2_000); end += 1) expect(read(bytes.subarray(0, end))).toEqual({ kind: "more" });
    });
  }
});
