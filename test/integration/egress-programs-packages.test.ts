import { randomBytes } from "node:crypto";
import { chmod, mkdir, realpath, writeFile } from "node:fs/promises";
import { basename, dirname } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CERTIFICATE, expectNameDenied } from "../lab/egress-programs.ts";
import { gitBackend, makeRepository } from "../lab/git-backend.ts";
import { pipWheel, programPath } from "../lab/host-programs.ts";
import { TEST_IMAGES } from "../lab/images.ts";
import { type Origin, startWebOrigins, type WebOrigins } from "../lab/origins.ts";
import { npmRegistry, pipIndex } from "../lab/package-indexes.ts";
import { type JsonRun, runJson } from "../lab/run-json.ts";
import { type TempDirectory, tempDirectory } from "../lab/temp-directory.ts";

const BASE = ["--image", TEST_IMAGES.debian];
/** A resolver that nobody answers asks twice, for five seconds each. */
const AT_ONCE_MS = 8_000;

let directory: TempDirectory;
beforeAll(async () => {
  directory = await tempDirectory();
});
afterAll(() => directory[Symbol.asyncDispose]());

/** Runs a script with the server's certificate in its workspace. */
async function run({ certificate }: WebOrigins, flags: readonly string[], command: readonly string[]): Promise<JsonRun> {
  const workspace = directory.join("workspace");
  await mkdir(workspace, { recursive: true });
  await writeFile(`${workspace}/ca.pem`, certificate.cert);
  await chmod(workspace, 0o755);
  return runJson([...BASE, "--workspace", workspace, ...flags, "--", ...command]);
}

function expectCarried({ status, result }: JsonRun, { origin, text }: { readonly origin: Origin; readonly text: string }): void {
  const said = status === 0 ? "" : result.stderr.text;
  expect({ status, text: result.stdout.text?.split("\n").at(-2), said }).toEqual({ status: 0, text, said: "" });
  expect(result.egress).toMatchObject([{ port: origin.port, rule: origin.rule, decision: "allowed", why: null }]);
}

function expectDenied(done: JsonRun, expected: { readonly host: string; readonly status: number; readonly says: RegExp }): void {
  expect(`${done.result.stdout.text ?? ""}${done.result.stderr.text ?? ""}`).toMatch(expected.says);
  expect(done.status).toBe(expected.status);
  expectNameDenied(done, expected.host, AT_ONCE_MS);
}

describe("git", () => {
  const NAME = "git.example.com";
  const TRUST = ["-e", `GIT_SSL_CAINFO=${CERTIFICATE}`];
  let origins: WebOrigins;

  beforeAll(async () => {
    await makeRepository(directory.join("project.git"), { name: "greeting.txt", text: "hello from a repository\n" });
    origins = await startWebOrigins(NAME, gitBackend(directory.path));
  });
  afterAll(() => origins[Symbol.asyncDispose]());

  it.each(["https", "http"] as const)("clones over %s", async (scheme) => {
    const origin = origins[scheme];
    const script = 'git clone --quiet "$0" clone && cat clone/greeting.txt';
    const done = await run(origins, [...TRUST, "--allow", origin.rule], ["sh", "-c", script, `${origin.url}/project.git`]);
    expectCarried(done, { origin, text: "hello from a repository" });
  });

  it("pushes megabytes over http, whose length it does not tell before", async () => {
    const origin = origins.http;
    await writeFile(directory.join("noise"), randomBytes(3_000_000));
    await chmod(directory.join("noise"), 0o644);
    const commit = "git -c user.name=T -c user.email=t@example.com commit --quiet -m noise";
    const steps = [
      'git clone --quiet "$0" clone',
      "cd clone",
      "cp /noise .",
      "git add noise",
      commit,
      "git push --quiet origin main:noise",
    ];
    const script = `${steps.join(" && ")} && git ls-remote origin noise | cut -f 2`;
    const flags = ["--mount", `${directory.join("noise")}:/noise`, "--allow", origin.rule];
    const done = await run(origins, flags, ["sh", "-c", script, `${origin.url}/project.git`]);
    expectCarried(done, { origin, text: "refs/heads/noise" });
    expect(done.result.egress[0]?.bytesOut).toBeGreaterThan(3_000_000);
  });

  it("says at once that the name does not exist", async () => {
    const done = await run(origins, TRUST, ["git", "clone", `${origins.https.url}/project.git`, "clone"]);
    expectDenied(done, { host: NAME, status: 128, says: /Could not resolve host: git\.example\.com/ });
  });
});

describe("pip", () => {
  const NAME = "pypi.example.com";
  const SCRIPT = `python3 "$0" install --no-cache-dir --disable-pip-version-check --retries 1 --index-url "$1" --target site greeting`;
  let origins: WebOrigins;
  let pip: { readonly flags: readonly string[]; readonly command: string };

  beforeAll(async () => {
    origins = await startWebOrigins(NAME, await pipIndex());
    const wheel = await pipWheel();
    pip = {
      flags: ["--mount", `${dirname(wheel)}:/host/wheels`, "-e", `PIP_CERT=${CERTIFICATE}`],
      command: `/host/wheels/${basename(wheel)}/pip`,
    };
  });
  afterAll(() => origins[Symbol.asyncDispose]());

  const install = (flags: readonly string[]) => {
    const script = `${SCRIPT} && PYTHONPATH=site python3 -c 'import greeting; print(greeting.TEXT)'`;
    return run(origins, [...pip.flags, ...flags], ["sh", "-c", script, pip.command, `${origins.https.url}/simple`]);
  };

  it("installs a wheel from an index", async () => {
    expectCarried(await install(["--allow", origins.https.rule]), { origin: origins.https, text: "hello from a wheel" });
  });

  it("says at once that the name does not exist", async () => {
    expectDenied(await install([]), { host: NAME, status: 1, says: /Name or service not known/ });
  });
});

describe("npm", () => {
  const NAME = "npm.example.com";
  let origins: WebOrigins;
  let npm: { readonly flags: readonly string[]; readonly command: string };

  beforeAll(async () => {
    origins = await startWebOrigins(NAME, await npmRegistry());
    const modules = dirname(dirname(dirname(await realpath(await programPath("npm")))));
    const mounts = ["--mount", `${modules}:/host/modules`, "--mount", `${process.execPath}:/host/node`];
    npm = { flags: [...mounts, "-e", `NODE_EXTRA_CA_CERTS=${CERTIFICATE}`], command: "/host/node /host/modules/npm/bin/npm-cli.js" };
  });
  afterAll(() => origins[Symbol.asyncDispose]());

  const install = (flags: readonly string[]) => {
    const script = `${npm.command} install --fetch-retries 0 --no-audit --no-fund --no-update-notifier --registry "$0" greeting && node -p 'require("greeting")'`;
    return run(origins, [...npm.flags, ...flags], ["sh", "-c", script, origins.https.url]);
  };

  it("installs a package from a registry", async () => {
    expectCarried(await install(["--allow", origins.https.rule]), { origin: origins.https, text: "hello from a tarball" });
  });

  it("says at once that the name does not exist", async () => {
    expectDenied(await install([]), { host: NAME, status: 1, says: /ENOTFOUND/ });
  });
});
