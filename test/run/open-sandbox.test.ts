import { readFile } from "node:fs/promises";
import { Readable } from "node:stream";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Engine } from "../../src/engine/port.ts";
import { resolveSandbox } from "../../src/policy/resolve-task.ts";
import type { SandboxRequest } from "../../src/policy/task-request.ts";
import type { RunEvent } from "../../src/run/events.ts";
import { openSandbox, type Sandbox } from "../../src/run/open-sandbox.ts";
import { containersOfRun, dockerCli } from "../lab/engine-api.ts";
import { TEST_IMAGES } from "../lab/images.ts";
import { openProductEngine } from "../lab/product-engine.ts";
import { tempDirectory } from "../lab/temp-directory.ts";

let engine: Engine;
let box: Sandbox;

beforeAll(async () => {
  engine = await openProductEngine();
  box = await open();
});

afterAll(async () => {
  await box.close();
  engine.close();
});

function open(request: SandboxRequest = {}): Promise<Sandbox> {
  return openSandbox(resolveSandbox({ image: TEST_IMAGES.busybox, memory: "128m", ...request }), { engine, keepOutput: false });
}

const sh = (script: string, options: Parameters<Sandbox["exec"]>[1] = {}) => box.exec(["sh", "-c", script], options);

/** Takes output until it holds `text`. */
function waitFor(text: string): { readonly seen: Promise<string>; readonly take: (piece: Uint8Array) => void } {
  let whole = "";
  let found: (all: string) => void = () => undefined;
  const seen = new Promise<string>((resolve) => {
    found = resolve;
  });
  const take = (piece: Uint8Array): void => {
    whole += Buffer.from(piece).toString();
    if (whole.includes(text)) found(whole);
  };
  return { seen, take };
}

describe("a command in an open sandbox", () => {
  it("tells its output, its exit and what it used", async () => {
    const { usage, ...result } = await sh("echo out; echo err >&2; exit 7");
    expect(result).toMatchObject({ reason: "completed", exit: { code: 7, signal: null }, truncated: false });
    expect([result.stdout.text, result.stderr.text]).toEqual(["out\n", "err\n"]);
    expect(usage.memoryPeak).toBeGreaterThan(0);
    expect(usage.cpuMs).not.toBeNull();
  });

  it.each([
    ["text", "grüße"],
    ["bytes", Buffer.from("grüße")],
    ["a stream", Readable.from([Buffer.from("gr"), Buffer.from("üße")])],
  ])("reads %s as its standard input", async (_name, stdin) => {
    expect((await box.exec(["cat"], { stdin })).stdout.text).toBe("grüße");
  });

  it("gets an environment and a directory of its own, and leaves files for the next one", async () => {
    expect((await sh("pwd; echo $A; echo kept > /workspace/left", { cwd: "/tmp", env: { A: "1" } })).stdout.text).toBe("/tmp\n1\n");
    expect((await sh("pwd; echo [$A]; cat left")).stdout.text).toBe("/workspace\n[]\nkept\n");
  });

  it("runs beside others", async () => {
    const fifo = "/tmp/meet";
    await sh(`mkfifo ${fifo}`);
    const [reader, writer] = await Promise.all([sh(`cat ${fifo}`), sh(`echo met > ${fifo}`)]);
    expect([reader.stdout.text, writer.exit.code]).toEqual(["met\n", 0]);
    const many = await Promise.all(Array.from({ length: 20 }, (_, index) => sh(`echo ${index}`)));
    expect(many.map(({ stdout }) => stdout.text)).toEqual(Array.from({ length: 20 }, (_, index) => `${index}\n`));
  });

  it("has a terminal when it is given one", async () => {
    const { stdout } = await sh("stty size", { stdin: "", terminal: { rows: 7, columns: 99 } });
    expect(stdout.text).toContain("7 99");
  });

  it("hands its output on while it runs, and waits for who takes it", async () => {
    const first = waitFor("first");
    let released: () => void = () => undefined;
    const release = new Promise<void>((resolve) => {
      released = resolve;
    });
    const running = sh("echo first; head -c 3000000 /dev/zero; echo done >&2", {
      onStdout: async (piece) => {
        first.take(piece);
        await release;
      },
    });
    await first.seen;
    released();
    expect(await running).toMatchObject({ reason: "completed", stdout: { bytes: 3_000_006, truncated: true }, truncated: true });
  });

  it("that is aborted has its group ended with SIGTERM", async () => {
    const stop = new AbortController();
    const ready = waitFor("ready");
    const running = sh("sleep 1000 & echo $!; echo ready; wait", { signal: stop.signal, onStdout: ready.take });
    const pid = Number.parseInt(await ready.seen, 10);
    stop.abort();
    expect(await running).toMatchObject({ reason: "interrupted", exit: { code: null, signal: "SIGTERM" } });
    await sh(`while kill -0 ${pid} 2>/dev/null; do sleep 0.01; done`);
  });

  it("that runs too long and ignores SIGTERM gets SIGKILL after killAfter", async () => {
    const result = await sh("trap '' TERM; while :; do sleep 0.1; done", { timeout: "300ms", killAfter: "200ms" });
    expect(result).toMatchObject({ reason: "timeout", exit: { code: null, signal: "SIGKILL" } });
    expect(result.usage.wallMs).toBeGreaterThanOrEqual(500);
  });

  it("that writes too much ends by it, and the sandbox goes on", async () => {
    const result = await sh("yes", { maxOutput: "64k" });
    expect(result).toMatchObject({ reason: "output-limit", truncated: true, stdout: { bytes: 65_536 } });
    expect((await sh("echo on")).stdout.text).toBe("on\n");
  });

  it("that the kernel kills for memory is told from one that is killed", async () => {
    const bomb = await sh("head -c 200000000 /dev/zero | tail -c 190000000 > /dev/null; kill -KILL $$");
    expect(bomb.reason).toBe("oom");
    expect(await sh("kill -KILL $$")).toMatchObject({ reason: "completed", exit: { signal: "SIGKILL" } });
  });

  it.each([
    [[], {}, "BAD_COMMAND"],
    [["true"], { cwd: "relative" }, "BAD_PATH"],
    [["true"], { cwd: "/missing" }, "BAD_PATH"],
    [["true"], { timeout: "5" }, "BAD_DURATION"],
    [["true"], { maxOutput: "5" }, "BAD_SIZE"],
    [["true"], { env: { "A B": "1" } }, "BAD_ENV"],
    [["true"], { signal: AbortSignal.abort() }, "INTERRUPTED"],
    [["no-such-program"], {}, "NOT_FOUND"],
    [["/workspace"], {}, "NOT_EXECUTABLE"],
  ] as const)("is refused as %j with %j: %s", async (argv, options, code) => {
    await expect(box.exec(argv, options)).rejects.toMatchObject({ name: "SandboxError", code });
  });
});

describe("the files of an open sandbox", () => {
  it("come back as they went in, with their mode", async () => {
    const bytes = Buffer.from(Array.from({ length: 100_000 }, (_, index) => index % 256));
    await box.write("deep/er/data.bin", bytes);
    await box.write("/workspace/run.sh", "#!/bin/sh\necho ran\n", { mode: 0o755 });
    await box.write("stream.txt", Readable.from([Buffer.from("one "), "two"]));
    await box.write("empty", "");
    expect(await box.read("deep/er/data.bin")).toEqual(bytes);
    expect(String(await box.read("./stream.txt"))).toBe("one two");
    expect(await box.read("empty")).toHaveLength(0);
    expect((await box.exec(["./run.sh"])).stdout.text).toBe("ran\n");
    await box.write("stream.txt", "again");
    expect(String(await box.read("stream.txt"))).toBe("again");
  });

  it("are listed by directory or all together", async () => {
    await sh("mkdir -p tree/sub; echo 1 > tree/a; echo 22 > tree/sub/b; ln -s a tree/l");
    expect(await box.list("tree")).toEqual({
      entries: expect.arrayContaining([
        { path: "tree/a", kind: "file", bytes: 2, mode: 0o644 },
        { path: "tree/sub", kind: "directory", bytes: 0, mode: 0o755 },
        { path: "tree/l", kind: "symlink", bytes: 0, mode: 0o777 },
      ]),
      refused: [],
    });
    const all = await box.list("tree", { recursive: true });
    expect(all.entries.map(({ path }) => path).sort()).toEqual(["tree/a", "tree/l", "tree/sub", "tree/sub/b"]);
    expect((await box.list()).entries.map(({ path }) => path)).toContain("tree");
  });

  it.each([
    ["../etc/passwd", "BAD_PATH"],
    ["/etc/passwd", "BAD_PATH"],
    ["a/../../x", "BAD_PATH"],
    ["", "BAD_PATH"],
    ["nul\0", "BAD_PATH"],
    ["dir/", "BAD_PATH"],
    [".", "BAD_PATH"],
  ])("have no place at %j", async (path, code) => {
    await expect(box.write(path, "x")).rejects.toMatchObject({ code });
    await expect(box.read(path)).rejects.toMatchObject({ code });
  });

  it("are told apart from what is missing, too large, or no file", async () => {
    await sh("mkdir d; ln -s /etc/passwd link; mkdir -m 0 closed");
    await expect(box.read("missing")).rejects.toMatchObject({ code: "NO_SUCH_FILE" });
    await expect(box.list("missing")).rejects.toMatchObject({ code: "NO_SUCH_FILE" });
    await expect(box.read("d")).rejects.toMatchObject({ code: "COLLECT_FAILED" });
    await expect(box.read("link")).rejects.toMatchObject({ code: "COLLECT_FAILED" });
    await box.write("long", "12345");
    await expect(box.read("long", { maxBytes: 4 })).rejects.toMatchObject({ code: "COLLECT_FAILED" });
    await expect(box.write("d", "x")).rejects.toMatchObject({ code: "COPY_IN_FAILED" });
    await expect(box.write("long", "x", { mode: 0o4755 })).rejects.toMatchObject({ code: "USAGE" });
  });

  it("are collected into a new directory", async () => {
    await using directory = await tempDirectory();
    await sh("mkdir -p out; echo result > out/a.txt; ln -s /etc/passwd out/b.txt");
    const { artifacts, refused } = await box.collect(["out/*.txt"], directory.join("taken"));
    expect(artifacts).toMatchObject([{ path: "out/a.txt", bytes: 7 }]);
    expect(refused).toEqual([{ path: "out/b.txt", why: "a symbolic link" }]);
    expect(await readFile(directory.join("taken/out/a.txt"), "utf8")).toBe("result\n");
    await expect(box.collect(["out/*"], directory.join("taken"))).rejects.toMatchObject({ code: "OUT_UNWRITABLE" });
    await expect(box.collect(["../x"], directory.join("other"))).rejects.toMatchObject({ code: "BAD_GLOB" });
  });
});

describe("the end of an open sandbox", () => {
  it("takes what double-forked with it, and everything is gone", async () => {
    const own = await open();
    await own.exec(["sh", "-c", "(setsid sleep 1000 &) ; true"]);
    expect(await containersOfRun(own.id)).toHaveLength(1);
    expect(await own.close()).toMatchObject({ destroyed: true, proof: expect.stringMatching(/^engine-/) });
    expect(await own.close()).toMatchObject({ destroyed: true });
    expect(await containersOfRun(own.id)).toEqual([]);
    await expect(own.exec(["true"])).rejects.toMatchObject({ code: "SANDBOX_ENDED" });
    await expect(own.read("x")).rejects.toMatchObject({ code: "SANDBOX_ENDED" });
  });

  it("ends commands under way when it is closed", async () => {
    const ready = waitFor("ready");
    const own = await open();
    const running = own.exec(["sh", "-c", "echo ready; sleep 1000"], { onStdout: ready.take });
    await ready.seen;
    await own.close();
    expect(await running).toMatchObject({ reason: "interrupted", exit: { code: null, signal: null } });
  });

  it("is noticed when somebody else ends it", async () => {
    await using own = await open();
    const ready = waitFor("ready");
    const running = own.exec(["sh", "-c", "echo ready; sleep 1000"], { onStdout: ready.take });
    await ready.seen;
    await dockerCli(["kill", `sandbox-${own.id}`]);
    expect(await running).toMatchObject({ reason: "killed" });
    expect(await own.ended).toMatchObject({ reason: "killed" });
    await expect(own.write("x", "x")).rejects.toMatchObject({ code: "SANDBOX_ENDED" });
  });

  it("is told in events, to every reader from the beginning to the end", async () => {
    const own = await open({ workspace: "test/fixtures/python-project" });
    const seen: RunEvent[] = [];
    const live = (async () => {
      for await (const event of own.events) seen.push(event);
    })();
    await own.exec(["true"]);
    await own.exec(["false"]);
    await own.close();
    await live;
    const late: RunEvent[] = [];
    for await (const event of own.events) late.push(event);
    expect(late).toEqual(seen);
    expect(seen.map(({ type }) => type)).toEqual([
      ...["run.started", "sandbox.created", "sandbox.started", "files.copied"],
      ...["exec.started", "exec.exited", "exec.started", "exec.exited", "sandbox.destroyed"],
    ]);
    expect(seen.filter(({ type }) => type === "exec.exited")).toMatchObject([
      { exec: 1, code: 0 },
      { exec: 2, code: 1 },
    ]);
  });
});

describe("opening a sandbox", () => {
  it("throws what stands in the way and leaves nothing", async () => {
    await expect(open({ image: "sandbox-test/no-such-image", pull: "never" })).rejects.toMatchObject({ code: "NO_IMAGE" });
    await expect(open({ workspace: "/no/such/directory" })).rejects.toMatchObject({ code: "WORKSPACE_MISSING" });
    await expect(open({ runtime: "no-such-runtime" })).rejects.toMatchObject({ code: "RUNTIME_MISSING" });
    expect(() => resolveSandbox({ memory: "5" })).toThrow(expect.objectContaining({ code: "BAD_SIZE" }));
  });

  it("refuses names inside unless a rule allows them, for all commands together", async () => {
    await using own = await open({ allow: ["allowed.example=127.0.0.1:9"] });
    const { stdout } = await own.exec(["sh", "-c", "nslookup denied.example 127.0.0.1 2>&1; true"]);
    expect(stdout.text).toContain("denied.example");
    expect(own.egress()).toMatchObject([{ host: "denied.example", decision: "denied" }]);
  });
});
