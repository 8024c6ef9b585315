import { readFile } from "node:fs/promises";
import { describe, expect, it } from "vitest";
import type { RunResult } from "../../src/run/result.ts";
import { startCli } from "../lab/cli.ts";
import { TEST_IMAGES } from "../lab/images.ts";
import { startTcpOrigin } from "../lab/origins.ts";

const NAME = "echo.example.com";
const MEBIBYTE = 1024 * 1024;

/** Runs a Python program against an echo server, and gives its result with the most memory that the host process had, in bytes. */
async function flood(program: string): Promise<{ readonly result: RunResult; readonly peak: number; readonly accepted: number }> {
  let accepted = 0;
  await using origin = await startTcpOrigin(NAME, (socket) => {
    accepted += 1;
    socket.on("error", () => undefined).pipe(socket);
  });
  const target = `import socket, struct\nNAME, PORT = ${JSON.stringify(NAME)}, ${origin.port}\n`;
  const flags = ["--events", "--image", TEST_IMAGES.debian, "--allow", origin.rule];
  const cli = startCli(["run", ...flags, "--", "python3", "-c", `${target}${program}\nprint("do" + "ne", flush=True)\ninput()`]);
  await cli.waitFor('"text":"done');
  const status = await readFile(`/proc/${cli.pid}/status`, "utf8");
  cli.child.stdin.end("\n");
  const { stdout } = await cli.done;
  const sealed = stdout.split("\n").find((line) => line.includes('"type":"run.sealed"')) ?? "";
  return {
    result: (JSON.parse(sealed) as { result: RunResult }).result,
    peak: Number(/VmHWM:\s+(\d+)/.exec(status)?.[1]) * 1024,
    accepted,
  };
}

describe("a flood of", { timeout: 120_000 }, () => {
  it("connections, one after another and a thousand at once, is carried in bounded memory", async () => {
    const program = [
      "for _ in range(5000):",
      "  s = socket.create_connection((NAME, PORT)); s.close()",
      "all = [socket.create_connection((NAME, PORT)) for _ in range(1000)]",
      "for s in all: s.sendall(b'x' * 1000)",
      "for s in all:",
      "  n = 0",
      "  while n < 1000: n += len(s.recv(1000))",
    ].join("\n");
    const { result, peak, accepted } = await flood(program);
    expect(result).toMatchObject({ reason: "completed", egress: [{ host: NAME, decision: "allowed", connections: 6000 }] });
    expect(accepted).toBeGreaterThanOrEqual(1000);
    expect(peak).toBeLessThan(200 * MEBIBYTE);
  });

  it("look-ups of names that no rule allows is answered or dropped, counted in bounded memory, and holds no allowed name up", async () => {
    const program = [
      "s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.setblocking(False)",
      "for n in range(50000):",
      "  label = b'x%d' % n",
      "  q = struct.pack('>HHHHHH', n & 65535, 256, 1, 0, 0, 0) + bytes([len(label)]) + label + b'\\x04evil\\x07example\\x00' + struct.pack('>HH', 1, 1)",
      "  try: s.sendto(q, ('127.0.0.1', 53))",
      "  except BlockingIOError: pass",
      "  try: s.recv(512)",
      "  except BlockingIOError: pass",
      "c = socket.create_connection((NAME, PORT)); c.sendall(b'x'); assert c.recv(1) == b'x'",
    ].join("\n");
    const { result, peak } = await flood(program);
    expect(result.reason).toBe("completed");
    expect(result.egress.filter(({ decision }) => decision === "denied").length).toBeGreaterThan(500);
    expect(result.egress.length).toBeLessThanOrEqual(1_002);
    expect(peak).toBeLessThan(200 * MEBIBYTE);
  });
});
