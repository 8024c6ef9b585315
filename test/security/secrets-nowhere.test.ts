import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { runCli, startCli, startProgram } from "../lab/cli.ts";
import { dockerCli } from "../lab/engine-api.ts";
import { TEST_IMAGES } from "../lab/images.ts";
import { startWebOrigins, type WebOrigins } from "../lab/origins.ts";
import { type TempDirectory, tempDirectory } from "../lab/temp-directory.ts";
import { containersOfOwner } from "../lab/traces.ts";
import { formsOf, ofBase64, ofFiles, ofProcesses, type Places, placesWith } from "../lab/value-search.ts";

const NAME = "own.example.com";
/** Nothing on this machine has ever held it. */
const VALUE = `k3y+odd/chars="&-${randomBytes(12).toString("hex")}`;

let origins: WebOrigins;
let place: TempDirectory;
let arrived: string[] = [];

beforeAll(async () => {
  [origins, place] = await Promise.all([
    startWebOrigins(NAME, (request, response) => {
      const { authorization = "" } = request.headers;
      arrived.push(authorization);
      response.writeHead(200, authorization, { "X-Echo": authorization, "Content-Type": "image/png" });
      response.end(Object.values(formsOf(authorization)).join("\n"));
    }),
    tempDirectory(),
  ]);
  await writeFile(place.join("roots.pem"), origins.certificate.cert);
  await writeFile(place.join("token"), VALUE);
  await mkdir(place.join("tmp"));
});
afterAll(async () => {
  await origins[Symbol.asyncDispose]();
  await place[Symbol.asyncDispose]();
});

const rules = () => [origins.http, origins.https].flatMap(({ rule }) => ["--allow", rule]);
/** With temporary files in a directory that can be searched. */
const env = () => ({ SSL_CERT_FILE: place.join("roots.pem"), TMPDIR: place.join("tmp") });

/** Sends the secret, and puts everything that can be read inside where the caller gets it. */
const SCRIPT = [
  `curl -sS -i "$URL/" -H "Authorization: $TOKEN"; curl -sS -i "$URL/" -H "Authorization: $TOKEN" --compressed -r 0-9`,
  `curl -sS "$URL/$TOKEN"; curl -sS "$URL/" -d "$TOKEN"`,
  `env > all; cat /proc/*/environ /proc/*/cmdline /proc/self/mountinfo >> all 2>/dev/null; find /tmp /run /dev/shm -type f -exec cat {} + >> all 2>/dev/null`,
  `base64 -w0 < all; echo; cp all found.txt`,
].join("\n");

/** Does the same through every function of the library, and prints all that it is told. */
const PROGRAM = `
import { once } from "node:events";
import { createSandbox, runBatch, runTask } from "belljar";
const { script, out, artifacts, options } = JSON.parse(process.env.GIVEN);
const command = ["sh", "-c", script];
const said = [];
const box = await createSandbox(options);
const listening = (async () => { for await (const event of box.events) said.push(event); })();
said.push(await box.exec(command), await box.list(".", { recursive: true }), String(await box.read("found.txt")), box.egress());
said.push(await box.collect(["**"], artifacts));
console.log("waiting");
await once(process.stdin, "data");
said.push(await box.close());
await listening;
await box.exec(command).catch((error) => said.push({ ...error, stack: error.stack }));
const running = runTask({ ...options, command, artifacts: ["**"], out: artifacts + "-2", onOutput: (stream, piece) => void said.push(String(piece)) });
for await (const event of running.events) said.push(event);
said.push(await running);
said.push(await runBatch({ ...options, tasks: [{ id: "one", command, artifacts: ["**"] }], out, onEvent: (event) => void said.push(event) }));
console.log(JSON.stringify(said));
process.stdin.destroy();
`;

const texts = (named: Readonly<Record<string, string>>): Places =>
  Object.fromEntries(Object.entries(named).map(([name, text]) => [name, Buffer.from(text)]));

describe("the search", () => {
  it("finds what is planted in processes, files and texts, in every form", async () => {
    await using directory = await tempDirectory();
    const forms = Object.values(formsOf(VALUE));
    const child = spawn("sleep", ["1000"], { env: { PLANTED: forms.join(" ") }, argv0: `sleep-${forms.join(" ")}` });
    onTestFinished(() => void child.kill("SIGKILL"));
    await once(child, "spawn");
    await mkdir(directory.join("deep"));
    await writeFile(directory.join("deep", "file"), forms.join("\n"));
    const whole = Buffer.from(`${"x".repeat(200)}${VALUE}`).toString("base64");
    const places = {
      ...(await ofProcesses()),
      ...(await ofFiles(directory.path)),
      ...texts({ text: forms.join() }),
      ...ofBase64("text", whole),
    };
    const found = placesWith(VALUE, places);
    for (const name of [`/proc/${child.pid ?? 0}/environ`, `/proc/${child.pid ?? 0}/cmdline`, directory.join("deep", "file"), "text"])
      expect(found.filter((each) => each.startsWith(`${name} (`))).toHaveLength(forms.length);
    expect(found).toContain("text, decoded (0) (plain)");
  });

  it.each([0, 1, 2, 3, 4, 5])("finds a value in base64 behind %i other bytes", (before) => {
    const text = Buffer.from(`${"~".repeat(before)}${VALUE}~~~`).toString("base64");
    expect(placesWith(VALUE, texts({ text }))).not.toEqual([]);
    expect(placesWith(VALUE, texts({ text: text.slice(0, 30) }))).toEqual([]);
  });
});

describe("the value of a secret is nowhere but at its source and at its host", { timeout: 60_000 }, () => {
  it("while the command runs and after: not in processes, temporary files, artifacts, events, results, nor on the engine", async () => {
    arrived = [];
    const outputs = ["--result", place.join("result.json"), "--artifact", "**", "--out", place.join("out")];
    const flags = ["--events", "--verbose", ...outputs, "--image", TEST_IMAGES.debian, "-e", `URL=${origins.https.url}`];
    const script = `${SCRIPT}\necho wait''ing; read line`;
    const cli = startCli(
      ["run", "-i", ...flags, "--secret", `TOKEN=file:${place.join("token")}@${NAME}`, ...rules(), "--", "sh", "-c", script],
      {
        env: env(),
      },
    );
    await cli.waitFor("waiting");
    const [container = ""] = await containersOfOwner(cli.pid);
    const inspecting = dockerCli(["inspect", container]);
    const during = { ...(await ofProcesses()), ...(await ofFiles(place.join("tmp"))) };
    const engine = texts({
      inspect: await inspecting,
      ps: await dockerCli(["ps", "--no-trunc"]),
      logs: await dockerCli(["top", container]),
    });
    cli.child.stdin.end("\n");
    const { stdout, stderr } = await cli.done;
    const after = { ...(await ofFiles(place.join("tmp"))), ...(await ofFiles(place.join("out"))) };
    const said = { ...texts({ stdout, stderr, result: await readFile(place.join("result.json"), "utf8") }), ...ofBase64("stdout", stdout) };

    expect(arrived).toEqual([VALUE, VALUE]);
    expect(stdout).toContain("secret.used");
    expect(stdout).toContain("egress.denied");
    expect(Object.keys(after).some((name) => name.endsWith("found.txt"))).toBe(true);
    expect(Object.keys(during)).toContain(`/proc/${cli.pid}/environ`);
    expect(placesWith("sbx-secret-TOKEN-", { ...engine, ...said, ...after })).not.toEqual([]);
    expect(placesWith(VALUE, { ...during, ...engine, ...said, ...after })).toEqual([]);
  });

  it("in a program that uses the library: not in what it is told of sandboxes, commands, runs and batches, nor in files", async () => {
    arrived = [];
    const given = {
      script: SCRIPT,
      out: place.join("batch"),
      artifacts: place.join("taken"),
      options: {
        ...{ image: TEST_IMAGES.debian, env: { URL: origins.https.url }, allow: [origins.http.rule, origins.https.rule] },
        secrets: [{ name: "TOKEN", from: { kind: "file", path: place.join("token") }, hosts: [NAME], in: ["header"] }],
      },
    };
    const program = startProgram(PROGRAM, { env: { ...env(), GIVEN: JSON.stringify(given) } });
    await program.waitFor("waiting");
    const containers = await containersOfOwner(program.pid);
    const during = { ...(await ofProcesses()), ...(await ofFiles(place.join("tmp"))) };
    const engine = texts({ inspect: await dockerCli(["inspect", ...containers]) });
    program.child.stdin.end("\n");
    const { stdout, stderr, status } = await program.done;
    const files = {
      ...(await ofFiles(place.join("batch"))),
      ...(await ofFiles(place.join("taken"))),
      ...(await ofFiles(place.join("tmp"))),
    };
    const said = { ...texts({ stdout, stderr }), ...ofBase64("stdout", stdout) };

    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    expect(containers).toHaveLength(1);
    expect(arrived).toEqual(Array(6).fill(VALUE));
    for (const word of ["secret.used", "egress.denied", "SANDBOX_ENDED", "found.txt"]) expect(stdout).toContain(word);
    expect(Object.keys(files).filter((name) => /found\.txt|result\.json|summary\.json/.test(name)).length).toBeGreaterThan(3);
    expect(placesWith("sbx-secret-TOKEN-", { ...said, ...files })).not.toEqual([]);
    expect(placesWith(VALUE, { ...during, ...engine, ...said, ...files })).toEqual([]);
  });

  it("with --json, and in the words of errors", async () => {
    const command = ["--", "sh", "-c", SCRIPT];
    const image = ["--image", TEST_IMAGES.debian, "-e", `URL=${origins.http.url}`];
    const failing = `TOKEN=cmd:cat ${place.join("token")}; cat ${place.join("token")} >&2; exit 1@${NAME}`;
    const runs = [
      ["--json", ...image, "--secret", `TOKEN=file:${place.join("token")}@${NAME}`, ...rules(), ...command],
      ["--verbose", ...image, "--secret", `TOKEN=file:${place.join("token")}@${NAME}`, ...rules(), ...command],
      ["--json", ...image, "--secret", failing, ...rules(), ...command],
      ["--json", ...image, "--secret", `TOKEN=${VALUE.replaceAll("@", "")}@${NAME}`, ...rules(), ...command],
      ["--json", ...image, "--secret", `${VALUE}@${NAME}`, ...rules(), ...command],
    ];
    for (const [index, args] of runs.entries()) {
      const { stdout, stderr } = await runCli(["run", ...args], { env: env() });
      const places = { ...texts({ stdout, stderr }), ...ofBase64("stdout", stdout) };
      if (index < 3) expect(placesWith("sbx-secret-TOKEN-", places)).not.toEqual([]);
      else expect(`${stdout}${stderr}`).toContain("BAD_SECRET");
      expect(placesWith(VALUE, places)).toEqual([]);
    }
  });

  it("where it comes from a variable: in the environment of the process that was given it, and of none that this one starts", async () => {
    const flags = ["--events", "--image", TEST_IMAGES.debian, "-e", `URL=${origins.https.url}`, "--secret", `TOKEN@${NAME}`];
    const cli = startCli(["run", "-i", ...flags, ...rules(), "--", "sh", "-c", `${SCRIPT}\necho wait''ing; read line`], {
      env: { ...env(), TOKEN: VALUE },
    });
    await cli.waitFor("waiting");
    const during = await ofProcesses();
    cli.child.stdin.end("\n");
    const { stdout, stderr } = await cli.done;
    expect(placesWith(VALUE, during)).toEqual([expect.stringMatching(new RegExp(`^/proc/${cli.pid}/environ \\(`))]);
    expect(placesWith(VALUE, { ...texts({ stdout, stderr }), ...ofBase64("stdout", stdout) })).toEqual([]);
  });
});
