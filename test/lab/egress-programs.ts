import { chmod, writeFile } from "node:fs/promises";
import type { RequestListener } from "node:http";
import { expect } from "vitest";
import { compileGo } from "./host-programs.ts";
import { type Origin, startTcpOrigin, type WebOrigins } from "./origins.ts";
import { compile } from "./rootfs.ts";
import type { JsonRun } from "./run-json.ts";
import { type TempDirectory, tempDirectory } from "./temp-directory.ts";

/** The origins' certificate as programs inside find it. */
export const CERTIFICATE = "/workspace/ca.pem";
/** A resolver that gives up waiting does so after five seconds. */
export const AT_ONCE_MS = 4_000;

/** A workspace with the origins' certificate and two programs: `fetch` prints what is at a URL, `talk` speaks a protocol of its own. */
export async function workspaceOfPrograms({ certificate }: WebOrigins): Promise<TempDirectory> {
  const inside = await tempDirectory();
  await writeFile(inside.join("ca.pem"), certificate.cert);
  await writeFile(inside.join("fetch"), await compileGo("fetch"), { mode: 0o755 });
  await writeFile(inside.join("talk"), await compile("talk", ["-static"]), { mode: 0o755 });
  await chmod(inside.path, 0o755);
  return inside;
}

/** Answers a request with what was asked of whom. */
export const sayRequest: RequestListener = ({ method, url, headers }, response) => response.end(`${method} ${url} ${headers.host}\n`);

/** An origin that says everything back in capital letters, once its client has ended its half. */
export function startUpperCase(name: string): Promise<Origin> {
  return startTcpOrigin(name, (socket) => {
    socket.setEncoding("utf8");
    let said = "";
    socket.on("data", (text: string) => (said += text)).on("end", () => socket.end(said.toUpperCase()));
  });
}

/** The run tells of one name that no rule allows, asked for once, and nothing waited for it. */
export function expectNameDenied({ result }: JsonRun, host: string, withinMs = AT_ONCE_MS): void {
  const nothing = { requests: 0, bytesOut: 0, bytesIn: 0 };
  const row = { host, port: null, rule: null, decision: "denied", why: "no rule allows it", connections: expect.any(Number), ...nothing };
  expect(result.egress).toEqual([row]);
  expect(result.phases.execute).toBeLessThan(withinMs);
}
