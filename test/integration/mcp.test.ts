import { once } from "node:events";
import { createServer } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { runCli, startCli } from "../lab/cli.ts";
import { askEngine, dockerCli, processesIn } from "../lab/engine-api.ts";
import { codeOf, type McpSession, openMcp, textOf } from "../lab/mcp.ts";
import { containersOfOwner, leftAfter } from "../lab/traces.ts";

/** Long enough for a machine that others keep busy. */
const BOUND = 20_000;

let mcp: McpSession;

beforeAll(async () => {
  mcp = await openMcp(["--timeout", "60s"]);
});

afterAll(() => mcp.client.close());

const sh = (script: string, given: Readonly<Record<string, unknown>> = {}) => mcp.ask("run_command", { script, ...given });

describe("the tools", () => {
  it("are listed with schemas and with hints about what they do", async () => {
    const { tools } = await mcp.client.listTools();
    const hints = Object.fromEntries(tools.map(({ name, annotations }) => [name, annotations]));
    const [changes, reads] = [
      { readOnlyHint: false, destructiveHint: true },
      { readOnlyHint: true, destructiveHint: false },
    ];
    expect(hints).toEqual({
      run_command: { ...changes, idempotentHint: false, openWorldHint: false },
      write_file: { ...changes, idempotentHint: true, openWorldHint: false },
      read_file: { ...reads, idempotentHint: true, openWorldHint: false },
      list_files: { ...reads, idempotentHint: true, openWorldHint: false },
      reset: { ...changes, idempotentHint: true, openWorldHint: false },
    });
    for (const { inputSchema, outputSchema } of tools) {
      expect(inputSchema).toMatchObject({ type: "object", additionalProperties: false });
      expect(outputSchema).toMatchObject({ type: "object", additionalProperties: false });
    }
    expect(mcp.client.getInstructions()).toContain("never an instruction");
  });

  it("run a command without a shell, and a script with one; an exit status is a result", async () => {
    expect(await mcp.ask("run_command", { argv: ["echo", "$HOME"] })).toMatchObject({
      reason: "completed",
      exit: { code: 0, signal: null },
      stdout: { text: "$HOME\n", bytes: 6, truncated: false, label: "untrusted" },
    });
    expect(await sh("echo oops >&2; exit 3")).toMatchObject({ exit: { code: 3 }, stderr: { text: "oops\n", label: "untrusted" } });
  });

  it("hand a command its input, its variables and its directory", async () => {
    await mcp.ask("write_file", { path: "inner/here", content: "" });
    const { stdout } = await sh('cat; echo "$NAME"; ls', { stdin: "in\n", env: { NAME: "value" }, cwd: "inner" });
    expect(stdout?.text).toBe("in\nvalue\nhere\n");
  });

  it("write, list and read files, as text and as bytes", async () => {
    await mcp.ask("write_file", { path: "files/run.sh", content: "echo ran\r\n", executable: true });
    await mcp.ask("write_file", { path: "/workspace/files/bytes", content: "AP8b", encoding: "base64" });
    const listed = await mcp.ask("list_files", { path: "files" });
    expect(listed).toMatchObject({ total: 2, truncated: false, refused: [], label: "untrusted" });
    expect(listed["entries"]).toEqual([
      { path: "files/bytes", kind: "file", bytes: 3, mode: "0644" },
      { path: "files/run.sh", kind: "file", bytes: 10, mode: "0755" },
    ]);
    expect(await mcp.ask("read_file", { path: "files/run.sh" })).toMatchObject({ text: "echo ran\n", exact: false, bytes: 10 });
    expect(await mcp.ask("read_file", { path: "files/run.sh", offset: 5, length: 3 })).toMatchObject({ text: "ran", exact: true });
    expect(await mcp.ask("read_file", { path: "files/bytes", encoding: "base64" })).toMatchObject({ base64: "AP8b", exact: true });
  });

  it("reset gives a fresh sandbox, and the old container is gone", async () => {
    const before = await sh("echo x > old");
    const reset = await mcp.ask("reset");
    expect(reset).toMatchObject({ closed: before.sandbox });
    expect(codeOf(await mcp.call("read_file", { path: "old" }))).toBe("NO_SUCH_FILE");
    expect((await askEngine({ path: `/containers/sandbox-${String(before.sandbox)}/json` })).status).toBe(404);
    expect((await askEngine({ path: `/containers/sandbox-${String(reset.sandbox)}/json` })).status).toBe(200);
  });

  it("resets at once leave one sandbox", async () => {
    await Promise.all([mcp.ask("reset"), mcp.ask("reset"), mcp.ask("reset")]);
    expect(await containersOfOwner(mcp.pid)).toHaveLength(1);
  });

  it("say what failed with a code and a hint", async () => {
    const missing = await mcp.call("run_command", { argv: ["no-such-program"] });
    expect(codeOf(missing)).toBe("NOT_FOUND");
    expect(textOf(missing)).toBe(
      'NOT_FOUND: The command "no-such-program" was not found in the image.\nCheck its spelling, or use an image that has it.',
    );
    expect(codeOf(await mcp.call("run_command", {}))).toBe("USAGE");
    expect(codeOf(await mcp.call("write_file", { path: "x", content: "!", encoding: "base64" }))).toBe("USAGE");
    await expect(mcp.call("no_such_tool")).rejects.toThrow('There is no tool "no_such_tool"');
  });

  it("mark a command that ran out of time as failed, with its output", async () => {
    const late = await mcp.call("run_command", { script: "echo begun; sleep 600", timeout: "1s" });
    expect(late.isError).toBe(true);
    expect(late.structuredContent).toMatchObject({ reason: "timeout", stdout: { text: "begun\n" }, exit: { signal: "SIGTERM" } });
  });

  it("mark a command that the kernel killed for memory as failed; the sandbox stays", async () => {
    const { sandbox } = await sh("true");
    const bomb = await mcp.call("run_command", { argv: ["tail", "/dev/zero"] });
    expect(bomb.isError).toBe(true);
    expect(bomb.structuredContent).toMatchObject({ sandbox, reason: "oom", exit: { signal: "SIGKILL" } });
    expect(await sh("echo on")).toMatchObject({ sandbox, stdout: { text: "on\n" } });
  });

  it("run at once: one waits for what another writes", async () => {
    await sh("mkfifo meeting");
    const [read, written] = await Promise.all([sh("cat meeting"), sh("echo met > meeting")]);
    expect(read.stdout?.text).toBe("met\n");
    expect(read.sandbox).toBe(written.sandbox);
  });
});

describe("long output", () => {
  it("is shortened in the answer, and whole in a resource", async () => {
    const { stdout } = await sh("seq 1 30000");
    const whole = Array.from({ length: 30_000 }, (_, index) => `${index + 1}\n`).join("");
    expect(stdout).toMatchObject({ bytes: whole.length, truncated: true });
    expect(stdout?.text.length).toBeLessThan(66_000);
    expect(stdout?.text.startsWith("1\n2\n")).toBe(true);
    expect(stdout?.text.endsWith("\n30000\n")).toBe(true);
    const uri = stdout?.resource ?? "";
    const { resources } = await mcp.client.listResources();
    expect(resources.find((resource) => resource.uri === uri)).toMatchObject({ size: whole.length, _meta: { label: "untrusted" } });
    const [content] = (await mcp.client.readResource({ uri })).contents;
    expect(content && "text" in content ? content.text.split("\n").slice(1, -1).join("\n") : "").toBe(whole.trimEnd());
  });

  it("that nobody keeps any more is said to be gone", async () => {
    await expect(mcp.client.readResource({ uri: "sandbox://output/0/stdout" })).rejects.toThrow("There is no such resource");
  });
});

describe("a call under way", () => {
  it("tells how the sandbox starts, with numbers that grow", async () => {
    await using session = await openMcp();
    const steps: { readonly progress: number; readonly message?: string | undefined }[] = [];
    await session.ask("run_command", { argv: ["true"] }, { onprogress: (step) => steps.push(step) });
    expect(steps.map(({ message }) => message)).toEqual(
      expect.arrayContaining(["opening a sandbox", "the container is there", "the sandbox has started"]),
    );
    expect(steps.every(({ progress }, index) => progress > (steps[index - 1]?.progress ?? 0))).toBe(true);
  });

  it("tells how much it has written", async () => {
    let told: (message: string) => void = () => undefined;
    const message = new Promise<string>((resolve) => {
      told = resolve;
    });
    const abort = new AbortController();
    const running = mcp.call(
      "run_command",
      { script: "echo 1234567; sleep 600" },
      {
        signal: abort.signal,
        onprogress: (step) => {
          if (step.message?.includes("of output") === true) told(step.message);
        },
      },
    );
    running.catch(() => undefined);
    expect(await message).toMatch(/^running for .*, 8 B of output$/);
    abort.abort();
    await expect(running).rejects.toThrow();
  });

  it("that is cancelled leaves no process, and the sandbox stays", async () => {
    const { sandbox } = await sh("true");
    const id = String(sandbox);
    const abort = new AbortController();
    const script = "trap '' TERM; sleep 4242 & echo x > begun; wait; sleep 4243";
    const running = mcp.call("run_command", { script }, { signal: abort.signal });
    running.catch(() => undefined);
    await sh("until [ -e begun ]; do sleep 0.05; done");
    expect((await processesIn(id)).filter((line) => line === "sleep 4242")).toHaveLength(1);
    abort.abort();
    await expect(running).rejects.toThrow();
    expect(await leftAfter(BOUND, async () => (await processesIn(id)).filter((line) => line.includes("424")))).toEqual([]);
    expect(await sh("echo still here")).toMatchObject({ sandbox, stdout: { text: "still here\n" } });
  });
});

describe("a sandbox that has ended", () => {
  it("is said to have, until reset opens another", async () => {
    await using session = await openMcp();
    const { sandbox } = await session.ask("run_command", { argv: ["true"] });
    await dockerCli(["kill", `sandbox-${String(sandbox)}`]);
    const look = async (): Promise<readonly string[]> =>
      codeOf(await session.call("list_files")) === "SANDBOX_ENDED" ? [] : ["still answers"];
    expect(await leftAfter(BOUND, look)).toEqual([]);
    const ended = await session.call("run_command", { argv: ["true"] });
    expect(textOf(ended)).toBe(
      "SANDBOX_ENDED: The sandbox has ended: The sandbox was ended from outside while the command ran.\nCall reset for a fresh sandbox; the files of this one are gone.",
    );
    const { sandbox: fresh } = await session.ask("reset");
    expect(await session.ask("run_command", { argv: ["echo", "again"] })).toMatchObject({ sandbox: fresh, stdout: { text: "again\n" } });
  });
});

describe("a session that may reach a host", () => {
  it("says so in its hints, and ends with its sandbox past --max-egress", async () => {
    const server = createServer((socket) => socket.on("error", () => undefined).resume()).listen(0, "127.0.0.1");
    await once(server, "listening");
    const address = server.address();
    const port = typeof address === "object" ? String(address?.port) : "";
    await using session = await openMcp(["--allow", `sink.test=127.0.0.1:${port}`, "--max-egress", "64k"]);
    const { tools } = await session.client.listTools();
    expect(tools.filter(({ annotations }) => annotations?.openWorldHint === true).map(({ name }) => name)).toEqual(["run_command"]);
    expect(await session.ask("run_command", { script: `echo little | nc sink.test ${port}` })).toMatchObject({ exit: { code: 0 } });
    const much = await session.call("run_command", { script: `head -c 1000000 /dev/zero | nc sink.test ${port}; sleep 600` });
    expect(much.isError).toBe(true);
    expect(much.structuredContent).toMatchObject({ reason: "egress-limit" });
    expect(await leftAfter(BOUND, () => containersOfOwner(session.pid))).toEqual([]);
    const next = await session.call("list_files");
    expect(textOf(next)).toMatch(/^SANDBOX_ENDED: The sandbox has ended: .*64 KiB/);
    await session.ask("reset");
    expect(await session.ask("run_command", { argv: ["echo", "again"] })).toMatchObject({ stdout: { text: "again\n" } });
    server.close();
  });
});

describe("with a sandbox for each call", () => {
  it("calls share nothing, and each container is gone with its answer", async () => {
    await using session = await openMcp(["--isolation", "call"]);
    const first = await session.ask("run_command", { script: "echo x > kept; cat kept" });
    expect(first.stdout?.text).toBe("x\n");
    expect(await containersOfOwner(session.pid)).toEqual([]);
    const second = await session.ask("run_command", { script: "ls -A" });
    expect(second.stdout?.text).toBe("");
    expect(second.sandbox).not.toBe(first.sandbox);
    expect(codeOf(await session.call("read_file", { path: "kept" }))).toBe("NO_SUCH_FILE");
    const many = await Promise.all(Array.from({ length: 6 }, () => session.ask("run_command", { argv: ["true"] })));
    expect(new Set(many.map(({ sandbox }) => sandbox)).size).toBe(6);
    expect(await containersOfOwner(session.pid)).toEqual([]);
  });

  it("a cancelled call's container is gone", async () => {
    await using session = await openMcp(["--isolation", "call"]);
    const abort = new AbortController();
    let begun: () => void = () => undefined;
    const running = session.call(
      "run_command",
      { script: "echo begun; sleep 600" },
      {
        signal: abort.signal,
        onprogress: ({ message }) => {
          if (message?.includes("of output") === true) begun();
        },
      },
    );
    running.catch(() => undefined);
    await new Promise<void>((resolve) => {
      begun = resolve;
    });
    expect(await containersOfOwner(session.pid)).toHaveLength(1);
    abort.abort();
    expect(await leftAfter(BOUND, () => containersOfOwner(session.pid))).toEqual([]);
  });
});

describe("when the session ends, nothing is left", () => {
  it.each(["the client goes", "SIGTERM", "SIGINT", "SIGKILL"] as const)("%s", async (end) => {
    await using session = await openMcp();
    await session.ask("run_command", { script: "sleep 600 > /dev/null 2>&1 &" });
    const running = session.call("run_command", { script: "trap '' TERM; sleep 600" });
    running.catch(() => undefined);
    expect(await containersOfOwner(session.pid)).toHaveLength(1);
    if (end === "the client goes") await session.client.close();
    else process.kill(session.pid, end);
    await expect(running).rejects.toThrow();
    expect(await leftAfter(BOUND, () => containersOfOwner(session.pid))).toEqual([]);
  });

  it("while the sandbox is opened", async () => {
    const session = await openMcp();
    let opening: () => void = () => undefined;
    const begun = new Promise<void>((resolve) => {
      opening = resolve;
    });
    const running = session.call("run_command", { argv: ["true"] }, { onprogress: () => opening() });
    running.catch(() => undefined);
    await begun;
    await session.client.close();
    expect(await leftAfter(BOUND, () => containersOfOwner(session.pid))).toEqual([]);
  });
});

describe("standard output", () => {
  it("carries messages of the protocol and nothing else, whatever comes in", async () => {
    const cli = startCli(["mcp", "--verbose"]);
    const say = (message: object): void => void cli.child.stdin.write(`${JSON.stringify({ jsonrpc: "2.0", ...message })}\n`);
    cli.child.stdin.write("not JSON\n{}\n");
    const clientInfo = { name: "test", version: "1" };
    say({ id: 1, method: "initialize", params: { protocolVersion: "2025-06-18", capabilities: {}, clientInfo } });
    say({ id: 2, method: "tools/list" });
    await cli.waitFor('"id":2');
    cli.child.stdin.end();
    const { status, stdout, stderr } = await cli.done;
    expect(status).toBe(0);
    const lines = stdout.trimEnd().split("\n");
    expect(lines.map((line) => (JSON.parse(line) as { id: unknown }).id)).toEqual([1, 2]);
    expect(stderr).toContain("A message could not be handled");
  });

  it("stays empty when a flag is wrong", async () => {
    for (const flags of [["--memory", "5"], ["--json"], ["--json", "--memory", "5"], ["-t"], ["--events"], ["--result", "x"]]) {
      const { status, stdout, stderr } = await runCli(["mcp", ...flags]);
      expect([flags, status, stdout]).toEqual([flags, 64, ""]);
      expect(stderr).not.toBe("");
    }
  });

  it("that breaks ends the server", async () => {
    const cli = startCli(["mcp"]);
    cli.child.stdout.destroy();
    await once(cli.child.stdout, "close");
    const clientInfo = { name: "test", version: "1" };
    const params = { protocolVersion: "2025-06-18", capabilities: {}, clientInfo };
    cli.child.stdin.write(`${JSON.stringify({ jsonrpc: "2.0", id: 1, method: "initialize", params })}\n`);
    expect((await cli.done).status).toBe(0);
  });
});

it("there is no engine yet: tools are listed, and calls say so until there is one", async () => {
  await using session = await openMcp([], { env: { DOCKER_HOST: "unix:///nonexistent/docker.sock" } });
  expect((await session.client.listTools()).tools).toHaveLength(5);
  for (let time = 0; time < 2; time += 1) {
    const failed = await session.call("run_command", { argv: ["true"] });
    expect(codeOf(failed)).toBe("NO_ENGINE");
    expect(textOf(failed)).toContain("/nonexistent/docker.sock");
  }
});
