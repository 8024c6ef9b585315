import { once } from "node:events";
import type { Socket } from "node:net";
import { describe, expect, it } from "vitest";
import type { RunResult } from "../../src/run/result.ts";
import { startCli } from "../lab/cli.ts";
import { TEST_IMAGES } from "../lab/images.ts";
import { startTcpOrigin } from "../lab/origins.ts";

const NAME = "echo.example.com";

/** A Python program inside, with a function that tries a name that no rule allows. */
function program(port: number, lines: readonly string[]): readonly string[] {
  const head = [
    "import socket",
    `def connect(): return socket.create_connection((${JSON.stringify(NAME)}, ${port}))`,
    "def denied():",
    "  try: socket.create_connection(('denied.example.com', 443)); return 'open'",
    "  except OSError: return 'shut'",
  ];
  return ["python3", "-c", [...head, ...lines].join("\n")];
}

describe("a host process that", () => {
  it("is killed in the middle of a connection opens nothing, and the origin sees it end", async () => {
    let arrived: (socket: Socket) => void = () => undefined;
    const first = new Promise<Socket>((resolve) => {
      arrived = resolve;
    });
    await using origin = await startTcpOrigin(NAME, (socket) => arrived(socket));
    const flags = ["--image", TEST_IMAGES.debian, "--allow", origin.rule];
    const cli = startCli(["run", ...flags, "--", ...program(origin.port, ["s = connect(); s.sendall(b'x'); s.recv(1)"])]);
    const socket = await first;
    const ended = once(socket.on("error", () => undefined).resume(), "end");
    cli.child.kill("SIGKILL");
    await ended;
    socket.destroy();
    expect((await cli.done).signal).toBe("SIGKILL");
  });

  it("has no descriptor left refuses what it can't carry, goes on with what it can, and opens nothing else", async () => {
    await using origin = await startTcpOrigin(NAME, (socket) => void socket.on("error", () => undefined).pipe(socket));
    const lines = [
      "all = [connect() for _ in range(200)]",
      "def works(s):",
      "  try: s.sendall(b'x'); return s.recv(1) == b'x'",
      "  except OSError: return False",
      "kept = [works(s) for s in all]",
      "print(any(kept), all.__len__() - sum(kept) > 0, denied())",
      "for s in all: s.close()",
      "import time",
      "while True:",
      "  s = connect()",
      "  if works(s): break",
      "print(denied())",
    ];
    const flags = ["--json", "--image", TEST_IMAGES.debian, "--allow", origin.rule];
    const cli = startCli(["run", ...flags, "--", ...program(origin.port, lines)], { within: ["prlimit", "--nofile=64:64"] });
    cli.child.stdin.end();
    const { stdout } = await cli.done;
    const result = JSON.parse(stdout) as RunResult;
    expect(result).toMatchObject({ reason: "completed", stdout: { text: "True True shut\nshut\n" } });
    expect(result.egress.filter(({ decision }) => decision === "denied").map(({ host }) => host)).toEqual(["denied.example.com"]);
  });
});
