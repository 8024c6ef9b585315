import { mkdir, readFile, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { format, inspect } from "node:util";
import { beforeEach, describe, expect, it, onTestFinished } from "vitest";
import { connectEngine } from "../../src/engine/find-engine.ts";
import { type CredentialSearch, findCredentials } from "../../src/engine/registry-credentials.ts";
import { runCli } from "../lab/cli.ts";
import { type TempDirectory, tempDirectory } from "../lab/temp-directory.ts";
import { answer, type Behaviour, openScriptedEngine, VERSION } from "./scripted-engine.ts";
import { searchFor } from "./stand-in.ts";

const HUB = "https://index.docker.io/v1/";
const SECRET = "s3cret:?>~ÿ";
const NO_SIGNAL = new AbortController().signal;

let home: TempDirectory;
beforeEach(async () => {
  home = await tempDirectory();
  await mkdir(home.join(".docker"));
  return () => home[Symbol.asyncDispose]();
});

function place(): Pick<CredentialSearch, "env" | "home"> {
  return { home: home.path, env: { PATH: `${home.path}:${process.env["PATH"] ?? ""}` } };
}

function find(ref: string, change: Partial<CredentialSearch> = {}): ReturnType<typeof findCredentials> {
  return findCredentials(ref, { ...place(), ...change });
}

async function configure(config: unknown): Promise<void> {
  await writeFile(home.join(".docker/config.json"), typeof config === "string" ? config : JSON.stringify(config));
}

const auth = (login: string): string => Buffer.from(login).toString("base64");

/** A credential helper that notes what it is asked, and then goes on with `script`. */
async function makeHelper(script: string, name = "test"): Promise<void> {
  const asked = home.join(`asked-${name}`);
  await writeFile(home.join(`docker-credential-${name}`), `#!/bin/sh\nprintf '%s ' "$@" > ${asked}\ncat >> ${asked}\n${script}\n`, {
    mode: 0o755,
  });
}

const saying = (login: object): string => `cat <<'END'\n${JSON.stringify(login)}\nEND`;

describe("the login for a registry", () => {
  it.each([
    ["alpine", HUB],
    ["library/alpine:3", HUB],
    ["docker.io/library/alpine", HUB],
    ["index.docker.io/library/alpine", HUB],
    ["toString/valueOf", undefined],
    ["localhost/x", "localhost"],
    ["localhost:5000/x", "localhost:5000"],
    ["reg.example.com/team/x@sha256:00", "reg.example.com"],
    ["reg.example.com:443/team/x:1", undefined],
    ["REG/x", "REG"],
    ["[::1]:5000/x", "[::1]:5000"],
    ["old.example.com/x", "old.example.com"],
    ["older.example.com:81/x", "older.example.com:81"],
    ["reg.example.com\n/x", undefined],
    ["user@reg.example.com/x", undefined],
    ["reg.example.com.evil.test/x", undefined],
  ])("of %j is kept under %j", async (ref, registry) => {
    const keys = [HUB, "localhost", "localhost:5000", "reg.example.com", "REG", "[::1]:5000", "user@reg.example.com"];
    const old = ["https://old.example.com/v1/", "http://older.example.com:81"];
    await configure({ auths: Object.fromEntries([...keys, ...old].map((key) => [key, { auth: auth("me:pass") }])) });
    expect(await find(ref)).toEqual(registry === undefined ? undefined : { registry, username: "me", password: "pass" });
  });

  it("is none without a file, with an empty one, and for an entry without a login", async () => {
    expect(await find("x.test/a")).toBeUndefined();
    await configure("");
    expect(await find("x.test/a")).toBeUndefined();
    await configure({ auths: { "x.test": {} }, credHelpers: null });
    expect(await find("x.test/a")).toBeUndefined();
  });

  it("is looked for in DOCKER_CONFIG rather than at home", async () => {
    await using other = await tempDirectory();
    await writeFile(other.join("config.json"), JSON.stringify({ auths: { "x.test": { auth: auth(`me:${SECRET}`) } } }));
    await configure({ auths: { "x.test": { auth: auth("home:home") } } });
    const found = await find("x.test/a", { env: { DOCKER_CONFIG: other.path } });
    expect(found).toEqual({ registry: "x.test", username: "me", password: SECRET });
  });

  it("is the identity token where there is one", async () => {
    await configure({ auths: { "x.test": { auth: auth("me:"), identitytoken: "token" } } });
    expect(await find("x.test/a")).toEqual({ registry: "x.test", identityToken: "token" });
  });

  it("comes from the registry's own helper, else from the common one, else from the file", async () => {
    await makeHelper(saying({ ServerURL: "x.test", Username: "own", Secret: SECRET }), "own");
    await makeHelper(saying({ ServerURL: "y.test", Username: "<token>", Secret: SECRET }), "common");
    const auths = { "x.test": { auth: auth("file:file") }, "y.test": {}, "z.test": { auth: auth("file:file") } };
    await configure({ credHelpers: { "x.test": "own", "z.test": "" }, credsStore: "common", auths });
    expect(await find("x.test/a")).toEqual({ registry: "x.test", username: "own", password: SECRET });
    expect(await readFile(home.join("asked-own"), "utf8")).toBe("get x.test");
    expect(await find("y.test/a")).toEqual({ registry: "y.test", identityToken: SECRET });
    expect(await find("alpine")).toEqual({ registry: HUB, identityToken: SECRET });
    expect(await readFile(home.join("asked-common"), "utf8")).toBe(`get ${HUB}`);
    expect(await find("z.test/a")).toEqual({ registry: "z.test", username: "file", password: "file" });
  });

  it("is looked for in the file when the helper is not installed, with a warning that names it", async () => {
    const warnings: string[] = [];
    const onWarning = (sentence: string): void => void warnings.push(sentence);
    await configure({ credsStore: "none", auths: { "x.test": { auth: auth("file:file") } } });
    expect(await find("x.test/a", { onWarning })).toEqual({ registry: "x.test", username: "file", password: "file" });
    expect(await find("y.test/a", { onWarning })).toBeUndefined();
    const path = home.join(".docker/config.json");
    expect(warnings).toEqual([
      `docker-credential-none, which ${path} names for x.test, is not installed; going on without it.`,
      `docker-credential-none, which ${path} names for y.test, is not installed; going on without it.`,
    ]);
  });

  it("is none when the helper has not got it", async () => {
    await configure({ credsStore: "test" });
    await makeHelper("echo credentials not found in native keychain; exit 1");
    expect(await find("x.test/a")).toBeUndefined();
    await makeHelper(saying({ ServerURL: "x.test", Username: "", Secret: "" }));
    expect(await find("x.test/a")).toBeUndefined();
  });
});

/** Nothing that an error carries, at any depth, tells the secret. */
function assertSilent(failure: unknown): void {
  const told = inspect(failure, { depth: null, showHidden: true });
  for (const form of [SECRET, auth(SECRET), auth(`me:${SECRET}`)]) expect(told).not.toContain(form);
}

describe("a login that cannot be had", () => {
  it.each([
    ["a file that is not JSON", `{"auths":{"x.test":{"auth":"${auth(`me:${SECRET}`)}"}}`, "it is not a JSON object"],
    ["a file that is a list", [SECRET], "it is not a JSON object"],
    ["auths that are no object", { auths: [SECRET] }, '"auths" is not an object'],
    ["a login that is no object", { auths: { "x.test": SECRET } }, '"x.test" is not an object'],
    ["a login that is no text", { auths: { "x.test": { auth: [SECRET] } } }, '"auth" is not a text'],
    ["a login that is not base64", { auths: { "x.test": { auth: `me:${SECRET}` } } }, '"auth" is not the base64 of user:password'],
    ["a login without a user", { auths: { "x.test": { auth: auth(`:${SECRET}`) } } }, '"auth" is not the base64 of user:password'],
    ["a helper that is no text", { credsStore: 1 }, '"credsStore" is not a text'],
    ["a helper that is a path", { credHelpers: { "x.test": "../x" } }, "it names a credential helper that cannot be one"],
  ])("is refused for %s", async (_what, config, reason) => {
    await configure(config);
    const failure: unknown = await find("x.test/a").catch((error: unknown) => error);
    const path = home.join(".docker/config.json");
    expect(failure).toMatchObject({
      code: "PULL_FAILED",
      message: `The login for x.test cannot be taken from ${path}: ${reason}.`,
      hint: "Repair the file, or move it away and run docker login x.test.",
    });
    assertSilent(failure);
  });

  it("is refused for a file that cannot be read", async () => {
    await mkdir(home.join(".docker/config.json"));
    await expect(find("x.test/a")).rejects.toMatchObject({ code: "PULL_FAILED", message: expect.stringContaining("(EISDIR)") });
  });

  it.each([
    ["fails", `echo '${SECRET}'; echo '${SECRET}' >&2; exit 3`, "ended with status 3"],
    ["is killed", `echo '${SECRET}'; kill -9 $$`, "did not run to its end"],
    ["says something else", `echo '${SECRET}'`, "did not answer with Username and Secret in JSON"],
    ["says half of it", saying({ Secret: SECRET }), "did not answer with Username and Secret in JSON"],
    ["says too much", `yes '${SECRET}'`, "answered with more than 1 MiB"],
  ])("is refused for a helper that %s", async (_what, script, how) => {
    await configure({ credsStore: "test" });
    await makeHelper(script);
    const failure: unknown = await find("x.test/a").catch((error: unknown) => error);
    expect(failure).toMatchObject({
      code: "PULL_FAILED",
      message: `The login for x.test cannot be had: docker-credential-test ${how}.`,
      hint: expect.stringContaining("`echo x.test | docker-credential-test get`"),
    });
    assertSilent(failure);
  });

  it("is waited for no longer than it may take, also when a child of the helper holds on", async () => {
    await configure({ credsStore: "test" });
    await makeHelper("sleep 5");
    const started = performance.now();
    await expect(find("x.test/a", { patience: 300 })).rejects.toMatchObject({
      code: "PULL_FAILED",
      message: expect.stringContaining("did not answer within 0.3 s"),
    });
    expect(performance.now() - started).toBeLessThan(3_000);
  });

  it("is given up when the pull is", async () => {
    await configure({ credsStore: "test" });
    await makeHelper("sleep 5");
    await expect(find("x.test/a", { signal: AbortSignal.timeout(300) })).rejects.toMatchObject({ code: "INTERRUPTED" });
  });
});

const IMAGE = { Id: `sha256:${"a".repeat(64)}`, Architecture: "amd64", Created: "2024-01-01T00:00:00Z", Size: 1 };

describe("a pull", () => {
  /** The `X-Registry-Auth` headers with which an engine is asked for `ref`, by a run and for the base image. */
  async function pull(ref: string): Promise<readonly (string | undefined)[]> {
    const sent: (string | undefined)[] = [];
    const registry: Behaviour = (socket, head) => {
      if (head.startsWith("GET /version")) socket.end(answer(200, JSON.stringify(VERSION)));
      else if (head.startsWith("GET /images/")) socket.end(answer(200, JSON.stringify(IMAGE)));
      else if (head.startsWith("POST /images/create")) {
        sent.push(/^X-Registry-Auth: (.*)\r$/im.exec(head)?.[1]);
        socket.end(answer(200, '{"id":"layer","status":"done"}\n'));
      } else socket.end(answer(404, "{}"));
    };
    await using fake = await openScriptedEngine(registry);
    const engine = await connectEngine({ ...searchFor(`unix://${fake.path}`, home), ...place() });
    onTestFinished(() => engine.close());
    await engine.pullImage(ref, { onProgress: () => undefined, signal: NO_SIGNAL });
    expect(await engine.images.pull(ref, { answerWithin: 5_000, onProgress: () => undefined, signal: NO_SIGNAL })).toBe(true);
    return sent;
  }

  it("sends the login of the registry as padded base64url", async () => {
    await configure({ auths: { "x.test": { auth: auth(`me:${SECRET}`) } } });
    const [run, base, ...more] = await pull("x.test/team/image:1");
    expect(run).toMatch(/^([\w-]{4})*([\w-]{2}==|[\w-]{3}=)?$/);
    const told: unknown = JSON.parse(Buffer.from(run ?? "", "base64url").toString("utf8"));
    expect(told).toEqual({ username: "me", password: SECRET, serveraddress: "x.test" });
    expect([base, ...more]).toEqual([run]);
  });

  it("sends an identity token that a helper gives", async () => {
    await configure({ credHelpers: { [HUB]: "test" } });
    await makeHelper(saying({ ServerURL: HUB, Username: "<token>", Secret: SECRET }));
    const [run] = await pull("team/image");
    const told: unknown = JSON.parse(Buffer.from(run ?? "", "base64url").toString("utf8"));
    expect(told).toEqual({ identitytoken: SECRET, serveraddress: HUB });
  });

  it("goes on without a login when the helper is not installed, and the command line says so", async () => {
    await configure({ credsStore: "none" });
    expect(await pull("x.test/team/image:1")).toEqual([undefined, undefined]);
    const run = ["run", "--image", "localhost:1/none:1", "--", "true"];
    const sentence = `sandbox: docker-credential-none, which ${home.join(".docker/config.json")} names for localhost:1, is not installed; going on without it.\n`;
    const { status, stderr } = await runCli(run, { env: { HOME: home.path } });
    expect({ status, stderr }).toEqual({ status: 69, stderr: expect.stringContaining("(PULL_FAILED)") });
    expect(stderr.startsWith(sentence)).toBe(true);
    expect((await runCli([...run.slice(0, 1), "-q", ...run.slice(1)], { env: { HOME: home.path } })).stderr).not.toContain("credential");
  });

  it("sends nothing to a registry without a login", async () => {
    await configure({ auths: { "x.test": { auth: auth(`me:${SECRET}`) } } });
    expect(await pull("y.test/team/image:1")).toEqual([undefined, undefined]);
  });

  it("does not begin while the login is broken", async () => {
    await configure("{");
    await expect(pull("x.test/team/image:1")).rejects.toMatchObject({ code: "PULL_FAILED", message: expect.stringContaining("login") });
  });

  it("does not tell the login in the log of requests", async () => {
    await configure({ auths: { "x.test": { auth: auth(`me:${SECRET}`) } } });
    const lines = followRequests();
    const [run] = await pull("x.test/team/image:1");
    expect(lines.join("\n")).toContain("'X-Registry-Auth': (hidden)");
    expect(lines.join("\n")).not.toContain(run);
  });
});

type DebugLog = { enable(names: string): void; disable(): string; log: (...words: readonly unknown[]) => void };

/** The log that `DEBUG=modem` gives, until the test ends. */
function followRequests(): readonly string[] {
  const near = (from: string, name: string): string => createRequire(from).resolve(name);
  const modem = near(near(import.meta.filename, "dockerode"), "docker-modem");
  const debug = createRequire(modem)("debug") as DebugLog;
  const lines: string[] = [];
  const { log } = debug;
  debug.log = (...words) => void lines.push(format(...words));
  debug.enable("modem");
  onTestFinished(() => {
    debug.disable();
    debug.log = log;
  });
  return lines;
}
