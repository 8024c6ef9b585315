import { execFile } from "node:child_process";
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parse } from "yaml";
import { z } from "zod";
import { engineSocket } from "../lab/engine-api.ts";
import { TEST_IMAGES } from "../lab/images.ts";
import { packTarball } from "../lab/packed-tarball.ts";
import { type TempDirectory, tempDirectory } from "../lab/temp-directory.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

const action = z
  .object({
    inputs: z.record(z.string(), z.object({ default: z.string().optional() })),
    runs: z.object({
      steps: z.array(
        z.object({ name: z.string(), shell: z.literal("bash"), env: z.record(z.string(), z.string()).default({}), run: z.string() }),
      ),
    }),
  })
  .parse(parse(await readFile(`${ROOT}action.yml`, "utf8")));

type Inputs = Readonly<Record<string, string>>;

/** The variables of a step, each of which has to be one input as it is. */
function variablesOf(env: Readonly<Record<string, string>>, inputs: Inputs): Record<string, string> {
  return Object.fromEntries(
    Object.entries(env).map(([name, expression]) => {
      const input = /^\$\{\{ inputs\.([a-z]+) \}\}$/.exec(expression)?.[1] ?? "";
      const value = inputs[input] ?? action.inputs[input]?.default;
      if (value === undefined) throw new Error(`${name} is ${expression}, which is no input`);
      return [name, value];
    }),
  );
}

let place: TempDirectory;

/** Runs one step of the action as a runner does: bash with `-e -o pipefail` and a file for its outputs. */
async function runStep(
  name: string,
  inputs: Inputs,
): Promise<{ status: number; stdout: string; stderr: string; outputs: string; cwd: string }> {
  const step = action.runs.steps.find((candidate) => candidate.name === name);
  if (step === undefined) throw new Error(`there is no step ${name}`);
  const cwd = place.join(`step-${Math.random().toString(36).slice(2)}`);
  await mkdir(cwd);
  await writeFile(`${cwd}/step.sh`, step.run);
  await writeFile(`${cwd}/outputs`, "");
  await mkdir(`${cwd}/project`);
  await writeFile(`${cwd}/project/note.txt`, "hello\n");
  const env = {
    ...process.env,
    ...variablesOf(step.env, inputs),
    RUNNER_TEMP: place.path,
    GITHUB_OUTPUT: `${cwd}/outputs`,
    DOCKER_HOST: `unix://${engineSocket()}`,
  };
  const ended = await new Promise<{ status: number; stdout: string; stderr: string }>((resolve) => {
    const child = execFile(
      "bash",
      ["--noprofile", "--norc", "-e", "-o", "pipefail", "../step.sh"],
      { cwd: `${cwd}/project`, env },
      (_error, stdout, stderr) => resolve({ status: child.exitCode ?? -1, stdout, stderr }),
    );
  });
  return { ...ended, outputs: await readFile(`${cwd}/outputs`, "utf8"), cwd: `${cwd}/project` };
}

describe("the GitHub Action", () => {
  beforeAll(async () => {
    place = await tempDirectory();
    const installed = await runStep("Install", { package: await packTarball(place.path) });
    expect(installed.stderr).not.toContain("ERR");
    expect(installed.status).toBe(0);
  }, 60_000);

  afterAll(async () => {
    await place[Symbol.asyncDispose]();
  });

  it("passes the exit status on, brings files out, and says how it ended", async () => {
    const { status, stdout, outputs, cwd } = await runStep("Run", {
      image: TEST_IMAGES.busybox,
      run: 'cat note.txt; echo "$GREETING" > made.txt; exit 7',
      env: "GREETING=good day\nOTHER=1\n",
      artifacts: "made.txt\n*.xml",
    });
    expect(stdout).toBe("hello\n");
    expect(status).toBe(7);
    expect(await readFile(`${cwd}/sandbox-out/made.txt`, "utf8")).toBe("good day\n");
    expect(outputs).toMatch(/^reason=completed\nresult=\/.*\/result\.json\n$/);
    const result = z.object({ reason: z.string() }).parse(JSON.parse(await readFile(outputs.trim().split("result=")[1] ?? "", "utf8")));
    expect(result.reason).toBe("completed");
  });

  it("stops the script at the first command that fails", async () => {
    const { status, stdout } = await runStep("Run", { image: TEST_IMAGES.busybox, run: "echo one\nfalse\necho two" });
    expect({ status, stdout }).toEqual({ status: 1, stdout: "one\n" });
  });

  it("tells a limit from a failure", async () => {
    const { status, outputs } = await runStep("Run", { image: TEST_IMAGES.busybox, run: "sleep 60", timeout: "300ms" });
    expect(status).toBe(124);
    expect(outputs).toContain("reason=timeout\n");
  });

  it("takes each line of a list as one rule", async () => {
    const { stdout } = await runStep("Run", {
      image: TEST_IMAGES.busybox,
      run: "nslookup -type=a two.example >/dev/null && echo allowed; nslookup -type=a three.example >/dev/null || echo refused",
      allow: "one.example=127.0.0.1:81\ntwo.example=127.0.0.1:81\r\n\n",
    });
    expect(stdout).toContain("allowed\n");
    expect(stdout).toContain("refused\n");
  });

  it("never takes an input for a part of its own script", async () => {
    const hostile = `'; touch hostile; "$(touch hostile)" \`touch hostile\` \${RUNNER_TEMP}`;
    const inside = await runStep("Run", { image: TEST_IMAGES.busybox, run: 'printf "%s" "$TEXT"', env: `TEXT=${hostile}` });
    expect(inside.stdout).toBe(hostile);
    for (const input of ["image", "workspace", "patch", "memory", "cpus", "disk", "timeout", "allow", "secrets", "artifacts"]) {
      const { cwd } = await runStep("Run", { image: TEST_IMAGES.busybox, run: "true", [input]: hostile });
      expect([input, await readdir(cwd)]).not.toEqual([input, expect.arrayContaining(["hostile"])]);
    }
  });

  it("uses every input, and installs the version that it belongs to", async () => {
    const { version } = z.object({ version: z.string() }).parse(JSON.parse(await readFile(`${ROOT}package.json`, "utf8")));
    expect(action.inputs["package"]?.default).toBe(`belljar@${version}`);
    const used = action.runs.steps.flatMap(({ env }) => Object.values(env).map((expression) => /inputs\.([a-z]+)/.exec(expression)?.[1]));
    expect(used.sort()).toEqual(Object.keys(action.inputs).sort());
  });
});
