import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { chmod, mkdir, symlink, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { dirname } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { SandboxError } from "../../src/core/errors.ts";
import { findEngine, nothingFound, type Place } from "../../src/engine/find-engine.ts";
import { type TempDirectory, tempDirectory } from "../lab/temp-directory.ts";
import { answer, BEHAVIOURS, openScriptedEngine, VERSION } from "./scripted-engine.ts";

const PATIENCE_MS = 10_000;
const GOOD = (socket: { end(text: string): unknown }): void => void socket.end(answer(200, JSON.stringify(VERSION)));

describe("the search for an engine", () => {
  let home: TempDirectory;
  beforeAll(async () => {
    home = await tempDirectory();
  });
  afterAll(() => home[Symbol.asyncDispose]());

  const place = (change: Partial<Place>): Place => ({ host: undefined, env: {}, home: home.path, uid: 4242, ...change });
  const find = async (change: Partial<Place>): Promise<string> => {
    const { client, info } = await findEngine(place(change));
    client.close();
    return info.endpoint;
  };

  async function context(name: string, host: string): Promise<void> {
    const id = createHash("sha256").update(name).digest("hex");
    await mkdir(home.join(".docker/contexts/meta", id), { recursive: true });
    await writeFile(
      home.join(".docker/contexts/meta", id, "meta.json"),
      JSON.stringify({ Name: name, Endpoints: { docker: { Host: host } } }),
    );
  }

  it("takes the named host before DOCKER_HOST, that before DOCKER_CONTEXT, and that before the current context", async () => {
    await using first = await openScriptedEngine(GOOD);
    await using second = await openScriptedEngine(GOOD);
    await using third = await openScriptedEngine(GOOD);
    await using fourth = await openScriptedEngine(GOOD);
    await context("third", `unix://${third.path}`);
    await context("fourth", `unix://${fourth.path}`);
    await writeFile(home.join(".docker/config.json"), JSON.stringify({ currentContext: "fourth" }));
    const env = { DOCKER_HOST: `unix://${second.path}`, DOCKER_CONTEXT: "third" };
    expect(await find({ host: `unix://${first.path}`, env })).toBe(`unix://${first.path}`);
    expect(await find({ env })).toBe(`unix://${second.path}`);
    expect(await find({ env: { DOCKER_CONTEXT: "third" } })).toBe(`unix://${third.path}`);
    expect(await find({})).toBe(`unix://${fourth.path}`);
    await writeFile(home.join(".docker/config.json"), "{}");
  });

  it.each([
    ["silent", "ENGINE_TIMEOUT"],
    ["reset", "ENGINE_LOST"],
    ["garbage", "NOT_AN_ENGINE"],
    ["notFound", "NOT_AN_ENGINE"],
    ["error500", "NOT_AN_ENGINE"],
    ["otherJson", "NOT_AN_ENGINE"],
    ["halfBody", "ENGINE_LOST"],
  ] as const)(
    "never replaces a named engine: one that is %s fails with %s before anybody takes it for hanging",
    async (behaviour, code) => {
      await using fake = await openScriptedEngine(BEHAVIOURS[behaviour]);
      // Timers of one process expire in their order, however busy the machine is.
      const late = delay(PATIENCE_MS, "late", { ref: false });
      const found = find({ env: { DOCKER_HOST: `unix://${fake.path}` } });
      await expect(Promise.race([found, late])).rejects.toMatchObject({ code, message: expect.stringContaining(fake.path) });
    },
  );

  it("says that nothing is there, that nothing listens, and that it may not be used", async () => {
    await expect(find({ host: `unix://${home.join("none.sock")}` })).rejects.toMatchObject({ code: "NO_ENGINE" });
    const path = home.join("dead.sock");
    const server = createServer().listen(path);
    await once(server, "listening");
    await promisify(execFile)("ln", [path, home.join("left.sock")]);
    server.close();
    await once(server, "close");
    await expect(find({ host: `unix://${home.join("left.sock")}` })).rejects.toMatchObject({ code: "ENGINE_REFUSED" });
  });

  it("hints at the docker group when the socket belongs to others", async () => {
    await using fake = await openScriptedEngine(GOOD);
    await chmod(fake.path, 0o600);
    await chmod(dirname(fake.path), 0o711);
    const probe = `require("node:http").get({ socketPath: ${JSON.stringify(fake.path)} }).on("error", (e) => console.log(e.code))`;
    const { stdout } = await promisify(execFile)(process.execPath, ["-e", probe], { uid: 65534, gid: 65534 });
    expect(stdout.trim()).toBe("EACCES");
    const { toEngineError } = await import("../../src/engine/docker/engine-error.ts");
    const error = toEngineError(Object.assign(new Error("connect"), { code: stdout.trim() }), {
      url: fake.path,
      explain: () => "",
      judge: () => undefined,
    });
    expect(error).toMatchObject({ code: "ENGINE_DENIED", hint: expect.stringContaining("docker") });
  });

  it("refuses a context that does not exist instead of taking another engine", async () => {
    await expect(find({ env: { DOCKER_CONTEXT: "gone" } })).rejects.toMatchObject({
      code: "NO_ENGINE",
      message: expect.stringContaining('"gone"'),
    });
  });

  it("refuses a configuration that it cannot read instead of taking another engine", async () => {
    await writeFile(home.join(".docker/config.json"), "{ not json");
    await expect(find({})).rejects.toMatchObject({ code: "NO_ENGINE", message: expect.stringContaining("config.json") });
    await writeFile(home.join(".docker/config.json"), "{}");
  });

  it.each([
    "http//x",
    "unix://relative",
    "ftp://host",
    "ssh://-oProxyCommand=x",
    "ssh://-x@host",
    "ssh://user:secret@host",
    "ssh://host/a b",
    "",
    "docker",
  ])("refuses the address %j", async (host) => {
    const failure = await find({ host }).catch((error: unknown) => error);
    expect(failure).toMatchObject({ code: "BAD_HOST" });
  });

  it("finds an engine at one of the usual places by itself, Docker's own first", async () => {
    await using runtime = await tempDirectory();
    await using fake = await openScriptedEngine(GOOD);
    await symlink(fake.path, runtime.join("docker.sock"));
    const env = { XDG_RUNTIME_DIR: runtime.path };
    const usual = existsSync("/var/run/docker.sock") ? "/var/run/docker.sock" : runtime.join("docker.sock");
    expect(await find({ env })).toBe(`unix://${usual}`);
  });

  it("lists every place that it tried and what each said when none has an engine", () => {
    const failure = nothingFound([
      { path: "/a.sock", error: new SandboxError("NO_ENGINE", "There is no engine at unix:///a.sock.", "Start it.") },
      {
        path: "/b.sock",
        error: new SandboxError("ENGINE_DENIED", "The engine at unix:///b.sock may not be used by this user.", "Join the group."),
      },
    ]);
    expect(failure.report()).toEqual({
      code: "ENGINE_DENIED",
      message:
        "The engine at unix:///b.sock may not be used by this user. Tried unix:///a.sock (not there), unix:///b.sock (permission denied).",
      hint: "Join the group.",
    });
  });

  it("reaches an engine over TCP", async () => {
    const server = createServer((socket) => {
      socket.on("error", () => undefined);
      socket.once("data", () => GOOD(socket));
    }).listen(0, "127.0.0.1");
    await once(server, "listening");
    const address = server.address();
    const port = typeof address === "object" && address !== null ? address.port : 0;
    expect(await find({ host: `tcp://127.0.0.1:${port}` })).toBe(`tcp://127.0.0.1:${port}`);
    server.close();
  });
});
