import { execFile } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { Ajv2020 } from "ajv/dist/2020.js";
import formats from "ajv-formats";
import { describe, expect, it } from "vitest";
import { runCli, startCli } from "../lab/cli.ts";
import { containersOfRun } from "../lab/engine-api.ts";
import { TEST_IMAGES } from "../lab/images.ts";
import { runJson } from "../lab/run-json.ts";
import { tempDirectory } from "../lab/temp-directory.ts";

const SANDBOX = fileURLToPath(new URL("../../bin/sandbox.js", import.meta.url));
const IN_BUSYBOX = ["run", "--image", TEST_IMAGES.busybox];

describe("the streams of a command", () => {
  it("stay apart, and its exit status is the command's", async () => {
    const { status, stdout, stderr } = await runCli([...IN_BUSYBOX, "--", "sh", "-c", "echo out; echo err >&2; exit 7"]);
    expect({ status, stdout, stderr }).toEqual({ status: 7, stdout: "out\n", stderr: "err\n" });
  });

  it("carry every byte exactly, in both directions", async () => {
    const input = randomBytes(3_000_000);
    const { status, bytes } = await runCli([...IN_BUSYBOX, "--", "cat"], { input });
    expect(status).toBe(0);
    expect(createHash("sha256").update(bytes).digest("hex")).toBe(createHash("sha256").update(input).digest("hex"));
  });

  it("bring two million lines in whole", async () => {
    const input = Array.from({ length: 2_000_000 }, (_, index) => `${index + 1}\n`).join("");
    const { stdout } = await runCli([...IN_BUSYBOX, "-i", "--", "sha256sum"], { input });
    expect(stdout).toBe(`${createHash("sha256").update(input).digest("hex")}  -\n`);
  });

  it("end for the command when they end for the caller", async () => {
    const { stdout } = await runCli([...IN_BUSYBOX, "--", "wc", "-c"], { input: "" });
    expect(stdout).toBe("0\n");
  });

  it("do not keep a command waiting that never reads", async () => {
    const { status } = await runCli([...IN_BUSYBOX, "--", "true"], { input: randomBytes(2_000_000) });
    expect(status).toBe(0);
  });

  it("are interactive: an answer comes before the next question", async () => {
    const cli = startCli([...IN_BUSYBOX, "-i", "--", "sh", "-c", 'while read word; do echo "got $word"; done']);
    cli.child.stdin.write("one\n");
    await cli.waitFor("got one");
    cli.child.stdin.write("two\n");
    await cli.waitFor("got two");
    cli.child.stdin.end();
    expect((await cli.done).status).toBe(0);
  });

  it("hand EPIPE on: a writer whose reader has gone dies of SIGPIPE, as it would without a sandbox", async () => {
    const cli = startCli([...IN_BUSYBOX, "--", "yes"]);
    await cli.waitFor("y\n");
    cli.child.stdout.destroy();
    expect((await cli.done).status).toBe(128 + 13);
  });
});

describe("a command", () => {
  it("gets the environment that was asked for, PATH, HOME, and nothing else", async () => {
    const { stdout } = await runCli([...IN_BUSYBOX, "-e", "A=1", "-e", "FROM_CALLER", "-e", "EQUALS=a=b", "--", "env"], {
      env: { FROM_CALLER: "yes", NOT_ASKED_FOR: "no" },
    });
    expect(stdout.trim().split("\n").sort()).toEqual(["A=1", "EQUALS=a=b", "FROM_CALLER=yes", "HOME=/tmp", "PATH=/usr/bin:/bin"]);
  });

  it("gets variables from a file, which flags override", async () => {
    await using directory = await tempDirectory();
    await writeFile(directory.join("env"), "# comment\n\nA=file\nB=file two\n");
    const { stdout } = await runCli([...IN_BUSYBOX, "--env-file", directory.join("env"), "-e", "A=flag", "--", "sh", "-c", 'echo "$A|$B"']);
    expect(stdout).toBe("flag|file two\n");
  });

  it("gets the caller's NODE_EXTRA_CA_CERTS, which the executable itself does not wait for", async () => {
    const env = { ...process.env, NODE_EXTRA_CA_CERTS: "/does/not/exist" };
    const args = [...IN_BUSYBOX, "-e", "NODE_EXTRA_CA_CERTS", "--", "sh", "-c", 'echo "$NODE_EXTRA_CA_CERTS"'];
    const { stdout, stderr } = await promisify(execFile)(SANDBOX, args, { env });
    expect({ stdout, stderr }).toEqual({ stdout: "/does/not/exist\n", stderr: "" });
    const control = await promisify(execFile)(process.execPath, ["-e", ""], { env });
    expect(control.stderr).toContain("/does/not/exist");
  });

  it("gets variables from a file that means nothing to the host, started as users start it", async () => {
    await using directory = await tempDirectory();
    await writeFile(directory.join("evil.cjs"), 'process.stderr.write("the file ran code out here\\n")');
    await writeFile(
      directory.join("env"),
      `NODE_OPTIONS=--require ${directory.join("evil.cjs")}\nDOCKER_HOST=tcp://192.0.2.1:1\nA=inside\n`,
    );
    const { stdout, stderr } = await promisify(execFile)(SANDBOX, [
      ...IN_BUSYBOX,
      "--env-file",
      directory.join("env"),
      "--",
      "sh",
      "-c",
      'echo "$A"',
    ]);
    expect({ stdout, stderr }).toEqual({ stdout: "inside\n", stderr: "" });
    const control = await promisify(execFile)(process.execPath, [`--env-file=${directory.join("env")}`, "-e", ""]);
    expect(control.stderr).toBe("the file ran code out here\n");
  });

  it("keeps its own flags, with and without --", async () => {
    const { stdout } = await runCli([...IN_BUSYBOX, "echo", "--json", "-m", "x", "--"]);
    expect(stdout).toBe("--json -m x --\n");
  });

  it("starts in the working directory, as the user, with the host name", async () => {
    const { stdout } = await runCli([
      ...IN_BUSYBOX,
      "-w",
      "/tmp",
      "-u",
      "1234:567",
      "--hostname",
      "box",
      "--",
      "sh",
      "-c",
      "pwd; id -u; id -g; hostname",
    ]);
    expect(stdout).toBe("/tmp\n1234\n567\nbox\n");
  });

  it.each([
    ["with nothing but one static program", TEST_IMAGES.scratch, ["/probe"], /^uid=65532 gid=65532 pid=\d+\n$/],
    ["of busybox", TEST_IMAGES.busybox, ["echo", "hello"], /^hello\n$/],
    ["of musl", TEST_IMAGES.musl, ["echo", "hello"], /^hello\n$/],
    ["of Debian", TEST_IMAGES.debian, ["echo", "hello"], /^hello\n$/],
    ["that would rather run something else", TEST_IMAGES.hostile, ["/bin/echo", "hello"], /^hello\n$/],
  ] as const)("runs in an image %s", async (_what, image, command, output) => {
    const { status, stdout } = await runCli(["run", "--image", image, "--", ...command]);
    expect(status).toBe(0);
    expect(stdout).toMatch(output);
  });

  it("that dies of a signal gives 128 and its number", async () => {
    const { status, result } = await runJson(["--", "sh", "-c", "kill -SEGV $$"]);
    expect({ status, reason: result.reason, exit: result.exit }).toEqual({
      status: 139,
      reason: "completed",
      exit: { code: null, signal: "SIGSEGV" },
    });
  });

  it("that kills itself is not an out-of-memory kill", async () => {
    const { status, result } = await runJson(["--", "sh", "-c", "kill -KILL $$"]);
    expect({ status, reason: result.reason, signal: result.exit.signal }).toEqual({ status: 137, reason: "completed", signal: "SIGKILL" });
  });

  it("leaves background processes that are gone with the run", async () => {
    const { status, result } = await runJson(["--", "sh", "-c", "sleep 1000 & setsid sleep 1000 & echo started"]);
    expect({ status, text: result.stdout.text, destroyed: result.destroyed }).toEqual({ status: 0, text: "started\n", destroyed: true });
    expect(await containersOfRun(result.run)).toEqual([]);
  });
});

describe("the result", () => {
  it("is valid against the schema that the product prints", async () => {
    const schema = JSON.parse((await runCli(["schema", "result"])).stdout) as object;
    const ajv = new Ajv2020({ strict: false });
    formats.default(ajv);
    const validate = ajv.compile(schema);
    for (const command of ["echo out; echo err >&2; exit 7", "head -c 3000000 /dev/urandom", "kill -9 $$"]) {
      const { result } = await runJson(["--", "sh", "-c", command]);
      expect(validate(result), JSON.stringify(validate.errors)).toBe(true);
    }
    const refused = await runJson(["--memory", "1m", "--disk", "1m", "--", "true"]);
    expect(validate(refused.result), JSON.stringify(validate.errors)).toBe(true);
    expect(validate({ ...refused.result, reason: "because" })).toBe(false);
  });

  it("says what ran, where, and that it is gone", async () => {
    const { result } = await runJson(["--label", "team=a", "--", "echo", "hi"]);
    expect(result).toMatchObject({
      schema: "sandbox.result/1",
      labels: { team: "a" },
      reason: "completed",
      exit: { code: 0, signal: null },
      image: { ref: TEST_IMAGES.busybox, digest: expect.stringMatching(/^sha256:[0-9a-f]{64}$/) },
      engine: { name: "docker", runtime: "default" },
      stdout: { bytes: 3, text: "hi\n", truncated: false, label: "untrusted", sha256: createHash("sha256").update("hi\n").digest("hex") },
      stderr: { bytes: 0 },
      destroyed: true,
    });
    expect(Object.values(result.phases).every((ms) => ms >= 0)).toBe(true);
    expect(await containersOfRun(result.run)).toEqual([]);
  });

  it("keeps the first and the last half of a megabyte, and the digest of everything", async () => {
    const { result } = await runJson(["--", "sh", "-c", "seq 1 400000"]);
    const whole = Array.from({ length: 400_000 }, (_, index) => `${index + 1}\n`).join("");
    expect(result.stdout).toMatchObject({ bytes: whole.length, truncated: true, sha256: createHash("sha256").update(whole).digest("hex") });
    expect(result.stdout.text?.startsWith("1\n2\n3\n")).toBe(true);
    expect(result.stdout.text?.endsWith("399999\n400000\n")).toBe(true);
    expect(result.stdout.text?.length).toBeLessThan(1_100_000);
  });

  it("is written whole to --result, beside the streamed output", async () => {
    await using directory = await tempDirectory();
    const { stdout } = await runCli([...IN_BUSYBOX, "--result", directory.join("r.json"), "--", "echo", "streamed"]);
    expect(stdout).toBe("streamed\n");
    expect(JSON.parse(await readFile(directory.join("r.json"), "utf8"))).toMatchObject({
      reason: "completed",
      stdout: { text: "streamed\n" },
    });
  });
});

describe("events", () => {
  it("tell the run in order, and end with the sealed result", async () => {
    const { stdout } = await runCli([...IN_BUSYBOX, "--events", "--", "sh", "-c", "printf 'h\\303\\244'; printf '\\377' >&2; exit 3"]);
    const events = stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    const types = events.map(({ type }) => type);
    expect(types.filter((type) => type !== "stdout" && type !== "stderr")).toEqual([
      "run.started",
      "sandbox.created",
      "sandbox.started",
      "exec.started",
      "exec.exited",
      "sandbox.destroyed",
      "run.sealed",
    ]);
    expect(
      events
        .filter(({ type }) => type === "stdout")
        .map(({ text }) => text)
        .join(""),
    ).toBe("hä");
    expect(events.find(({ type }) => type === "stderr")).toMatchObject({ base64: "/w==" });
    expect(events.find(({ type }) => type === "exec.exited")).toMatchObject({ code: 3, signal: null });
    expect(events.at(-1)).toMatchObject({ type: "run.sealed", result: { reason: "completed" } });
    expect(new Set(events.map(({ run }) => run)).size).toBe(1);
  });
});

describe("--keep", () => {
  it("leaves a stopped container that ps shows, with its image as the user called it, and kill removes", async () => {
    const { result } = await runJson(["--keep", "--", "true"]);
    try {
      expect({ proof: result.proof, destroyed: result.destroyed }).toEqual({ proof: "kept", destroyed: false });
      expect(await containersOfRun(result.run)).toHaveLength(1);
      expect((await runCli(["ps"])).stdout).toMatch(new RegExp(`${result.run}  exited \\(kept\\)  ${TEST_IMAGES.busybox} `));
      expect((await runCli(["prune"])).stdout).not.toContain(result.run);
    } finally {
      expect((await runCli(["kill", result.run])).stdout).toBe(`${result.run}\n`);
    }
    expect(await containersOfRun(result.run)).toEqual([]);
  });
});

describe("a small memory", () => {
  it("makes the writable places that nobody sized small enough for it", async () => {
    const { status, result } = await runJson(["--memory", "64m", "--", "true"]);
    expect({ status, disk: result.limits.disk.limit }).toEqual({ status: 0, disk: 32 * 1024 ** 2 });
  });
});

describe("a reader of other commands that has gone", () => {
  it.each([["ps"], ["schema", "result"], ["run", "--help"]])("ends %s as SIGPIPE would, without a word", async (...args) => {
    const command = `${process.execPath} -- ${SANDBOX} ${args.join(" ")} | true; exit \${PIPESTATUS[0]}`;
    const done = await new Promise<{ readonly status: number | null; readonly stderr: string }>((resolve) => {
      const child = execFile("bash", ["-c", `trap "" PIPE; ${command}`], (_error, _stdout, stderr) =>
        resolve({ status: child.exitCode, stderr }),
      );
    });
    expect(done.stderr).toBe("");
    expect([0, 141]).toContain(done.status);
  });
});
