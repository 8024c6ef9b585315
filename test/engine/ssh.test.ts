import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { text } from "node:stream/consumers";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createClient } from "../../src/engine/docker/client.ts";
import { findEngine } from "../../src/engine/find-engine.ts";
import { engineSocket } from "../lab/engine-api.ts";
import { TEST_IMAGES } from "../lab/images.ts";
import { runJson } from "../lab/run-json.ts";
import { type TempDirectory, tempDirectory } from "../lab/temp-directory.ts";
import { containersOfOwner, leftAfter } from "../lab/traces.ts";

const SANDBOX = fileURLToPath(new URL("../../bin/sandbox.js", import.meta.url));
const DIAL = `exec docker -H unix://${engineSocket()} system dial-stdio`;
const HOST = "ssh://me@box:2222";
const BOUND = 2_000;
/** Milliseconds, less than any that an engine is waited for. */
const NO_TIMEOUT = 3_000;
const NOTICED = 300;

describe("an engine behind ssh", () => {
  /** Where `ssh` is looked for first. */
  let bin: TempDirectory;
  let env: Readonly<Record<string, string>>;
  beforeEach(async () => {
    bin = await tempDirectory();
    env = { PATH: `${bin.path}:${process.env["PATH"] ?? ""}` };
  });
  afterEach(() => bin[Symbol.asyncDispose]());

  /** Puts a program in the place of `ssh`. */
  async function install(script: string): Promise<void> {
    await writeFile(bin.join("ssh"), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  }

  /** An `ssh` that carries the engine's bytes by itself, so that it can do `more`. */
  async function installRelay(more: string): Promise<void> {
    const carry = `const socket = require("node:net").connect("${engineSocket()}"); process.stdin.pipe(socket).pipe(process.stdout);`;
    await install(`exec '${process.execPath}' -e '${carry} ${more}'`);
  }

  async function find(path = env): Promise<string> {
    const { client, info } = await findEngine({ host: HOST, env: path, home: bin.path, uid: 4242 });
    client.close();
    return info.endpoint;
  }

  it("is reached through docker's own command there", async () => {
    await install(`echo "$@" > ${bin.join("arguments")}\n${DIAL}`);
    expect(await find()).toBe(HOST);
    expect(await readFile(bin.join("arguments"), "utf8")).toBe("-T -o ConnectTimeout=30 -l me -p 2222 -- box docker system dial-stdio\n");
  });

  it.each([
    ["me@box: Permission denied (publickey).", 255, "ENGINE_DENIED", "ssh -p 2222 me@box true"],
    ["Host key verification failed.", 255, "ENGINE_REFUSED", "accept it"],
    ["ssh: connect to host box port 2222: Connection refused", 255, "ENGINE_REFUSED", "Check the address"],
    ["ssh: Could not resolve hostname box: Name or service not known", 255, "ENGINE_REFUSED", "Check the address"],
    ["bash: line 1: docker: command not found", 127, "NO_ENGINE", "Install the docker client there"],
    ["dial unix /var/run/docker.sock: connect: permission denied", 1, "ENGINE_DENIED", "group"],
    ["dial unix /var/run/docker.sock: connect: no such file or directory", 1, "NO_ENGINE", "Start the engine there"],
    ["Connection closed by 192.0.2.1 port 2222", 255, "ENGINE_LOST", "run again"],
  ])("is missed without waiting for a timeout, with a remedy, when ssh says %j and ends with %i", async (said, status, code, hint) => {
    await install(`echo '${said}' >&2\nexit ${status}`);
    const started = performance.now();
    await expect(find()).rejects.toMatchObject({
      code,
      message: expect.stringContaining(said.replace(/\.$/, "")),
      hint: expect.stringContaining(hint),
    });
    expect(performance.now() - started).toBeLessThan(NO_TIMEOUT);
  });

  it("is not taken for one when the shell there speaks first", async () => {
    await install("echo 'Welcome to box!'\ncat > /dev/null");
    await expect(find()).rejects.toMatchObject({ code: "NOT_AN_ENGINE", hint: expect.stringContaining("print nothing") });
  });

  it("needs an ssh", async () => {
    await expect(find({ PATH: bin.join("empty") })).rejects.toMatchObject({
      code: "ENGINE_REFUSED",
      message: expect.stringContaining("ssh cannot be started (ENOENT)"),
      hint: expect.stringContaining("Install the OpenSSH client"),
    });
  });

  it.each([
    ["with an error", "SIGKILL"],
    ["in peace", "SIGTERM"],
  ] as const)("is asked anew when an idle connection has ended %s, since a dead one would swallow the request", async (_how, signal) => {
    await installRelay(
      `require("node:fs").writeFileSync("${bin.join("pid")}", String(process.pid)); process.on("SIGTERM", () => process.exit());`,
    );
    const client = await createClient({ kind: "ssh", host: "box", user: undefined, port: undefined, socket: undefined }, env);
    const ping = async (): Promise<unknown> =>
      client.ask({ method: "GET", path: "/version", timeout: 5_000 }).catch((error: unknown) => error);
    expect(await ping()).toMatchObject({ status: 200 });
    process.kill(Number(await readFile(bin.join("pid"), "utf8")), signal);
    // Until the death has been noticed: a request that is under way then is lost in any case.
    await pause(NOTICED);
    expect(await ping()).toMatchObject({ status: 200 });
    client.close();
  });

  it.each([
    ["in peace", "process.exit(0)"],
    ["with an error", "process.exit(255)"],
    ["of a signal", 'process.kill(process.pid, "SIGKILL")'],
  ])(
    "is lost, and nobody is said to have killed the sandbox, when the ssh that holds the pipe dies %s in the middle of a run",
    async (_how, die) => {
      await installRelay(
        `let holds = false;
       process.stdin.on("data", (bytes) => { holds ||= bytes.includes("/attach?"); });
       socket.on("data", (bytes) => { if (holds && bytes.includes("the command runs")) ${die}; });`,
      );
      const flags = ["-H", HOST, "--image", TEST_IMAGES.busybox];
      const { status, result } = await runJson([...flags, "--", "sh", "-c", "echo the command runs; sleep 100"], { env });
      expect({ status, reason: result.reason, code: result.error?.code }).toEqual({
        status: 69,
        reason: "engine-lost",
        code: "ENGINE_LOST",
      });
      expect(result.destroyed).toBe(true);
    },
  );

  it("stays in reach after the terminal's Ctrl-C, which every process in the foreground gets, until the container is gone", async () => {
    await installRelay(`process.on("SIGINT", () => { require("node:fs").writeFileSync("${bin.join("hit")}", ""); process.exit(255); });`);
    const args = ["run", "--events", "-H", HOST, "--image", TEST_IMAGES.busybox, "--", "sleep", "100"];
    const run = spawn(process.execPath, [SANDBOX, ...args], { env, detached: true, stdio: ["ignore", "pipe", "ignore"] });
    const ended = once(run, "close");
    const pid = run.pid ?? 0;
    try {
      const said = text(run.stdout);
      const runs = new Promise((resolve) => run.stdout.on("data", (chunk: Buffer) => chunk.includes("exec.started") && resolve(undefined)));
      await Promise.race([runs, ended]);
      const started = performance.now();
      process.kill(-pid, "SIGINT");
      const [status] = await ended;
      expect(status).toBe(130);
      expect(performance.now() - started).toBeLessThan(BOUND);
      expect(await said).toContain('"destroyed":true');
      expect(existsSync(bin.join("hit"))).toBe(false);
      expect(await leftAfter(0, () => containersOfOwner(pid))).toEqual([]);
    } finally {
      if (run.exitCode === null) run.kill("SIGKILL");
    }
  });
});
