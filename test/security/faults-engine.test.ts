import { once } from "node:events";
import { rename } from "node:fs/promises";
import { createServer } from "node:net";
import { describe, expect, it } from "vitest";
import type { RunResult } from "../../src/run/result.ts";
import { type CliResult, runCli, startCli } from "../lab/cli.ts";
import { type Fault, openFakeEngine } from "../lab/fake-engine.ts";
import { TEST_IMAGES } from "../lab/images.ts";
import { runJson } from "../lab/run-json.ts";
import { tempDirectory } from "../lab/temp-directory.ts";
import { containersOfOwner, leftAfter } from "../lab/traces.ts";

const BOUND = 2_000;
const CREATE = /^POST \/containers\/create$/;
const WAIT = /^POST \/containers\/\w+\/wait$/;
const REMOVE = /^DELETE \/containers\//;
const INSPECT = /^GET \/containers\/\w+\/json$/;
/** Asked only while the engine has not said by itself that the container is gone. */
const ONLY_WITHOUT_WORD: readonly RegExp[] = [REMOVE, INSPECT];

/** What a run asks of the engine, in order. */
const REQUESTS = {
  "what it is": /^GET \/version$/,
  "for the image": /^GET \/images\//,
  "for the guest's volume": /^GET \/volumes\//,
  "to create": CREATE,
  "to attach": /^POST \/containers\/\w+\/attach$/,
  "to tell when the container is gone": WAIT,
  "to start": /^POST \/containers\/\w+\/start$/,
  "to remove": REMOVE,
  "whether the container is there": INSPECT,
} as const;

/** Without these answers there is no run; without the others there is, as long as the container is gone in the end. */
const NEEDED: readonly string[] = ["what it is", "for the image", "for the guest's volume", "to create", "to attach", "to start"];
const FAULTS: readonly Fault[] = ["resets", "500", "404", "409", "half a body", "garbage", "carried out"];

type Outcome = CliResult & { readonly milliseconds: number; readonly left: readonly string[] };

/** A run against an engine that has one fault, and what is left of it on the real one. */
async function runWith(request: RegExp, fault: Fault): Promise<Outcome> {
  await using engine = await openFakeEngine();
  engine.break(request, fault);
  if (ONLY_WITHOUT_WORD.includes(request)) engine.break(WAIT, "hangs");
  const from = performance.now();
  const cli = startCli(["run", "--image", TEST_IMAGES.busybox, "--pull", "never", "--", "true"], { env: { DOCKER_HOST: engine.host } });
  cli.child.stdin.end();
  const done = await cli.done;
  const milliseconds = performance.now() - from;
  return { ...done, milliseconds, left: await leftAfter(BOUND, () => containersOfOwner(cli.pid)) };
}

/** Two lines for people: the sentence, and the hint with the code. */
const ONE_SENTENCE = /^sandbox: [^\n]+\n {2}[^\n]+ \([A-Z_]+\)\n$/;

function expectFailure({ status, stderr }: Outcome): void {
  expect([69, 125]).toContain(status);
  expect(stderr).toMatch(ONE_SENTENCE);
}

describe("an engine that is asked", () => {
  it.each(Object.entries(REQUESTS))(
    "%s and answers with any fault is told apart from success, and nothing is left",
    async (name, request) => {
      const outcomes = await Promise.all(FAULTS.map((fault) => runWith(request, fault)));
      for (const [index, outcome] of outcomes.entries()) {
        expect({ fault: FAULTS[index], left: outcome.left }).toEqual({ fault: FAULTS[index], left: [] });
        const isMissing = name === "for the guest's volume" && FAULTS[index] === "404";
        if (NEEDED.includes(name) && !isMissing) expectFailure(outcome);
        else if (outcome.status !== 0) expectFailure(outcome);
        else expect(outcome.stderr).toMatch(/^(sandbox: not shown to be destroyed: [^\n]+\n {2}[^\n]+\n)?$/);
      }
    },
  );

  it("what it is and hangs is given up within 5 s", async () => {
    const outcome = await runWith(REQUESTS["what it is"], "hangs");
    expectFailure(outcome);
    expect(outcome.status).toBe(69);
    expect(outcome.milliseconds).toBeLessThan(5_000);
  });

  it("anything short and hangs is given up after 10 s, and 10 s more for what it may have made", { timeout: 60_000 }, async () => {
    const short = ["for the image", "for the guest's volume", "to attach", "to remove", "whether the container is there"] as const;
    const outcomes = await Promise.all(short.map((name) => runWith(REQUESTS[name], "hangs")));
    for (const [index, name] of short.entries()) {
      const outcome = outcomes[index];
      expect(outcome?.left).toEqual([]);
      expect(outcome?.milliseconds).toBeLessThan(25_000);
      if (outcome !== undefined && NEEDED.includes(name)) expectFailure(outcome);
    }
  });

  it("nothing, since nobody listens there, is refused at once", async () => {
    await using directory = await tempDirectory();
    const server = createServer();
    server.listen(directory.join("first"));
    await once(server, "listening");
    await rename(directory.join("first"), directory.join("engine.sock"));
    server.close();
    for (const [host, code] of [
      [`unix://${directory.join("engine.sock")}`, "ENGINE_REFUSED"],
      [`unix://${directory.join("none.sock")}`, "NO_ENGINE"],
    ] as const) {
      const { status, stderr } = await runCli(["run", "--host", host, "--", "true"]);
      expect(status).toBe(69);
      expect(stderr).toMatch(ONE_SENTENCE);
      expect(stderr).toContain(`(${code})`);
    }
  });
});

describe("a result", () => {
  it("does not say that nothing was created when the engine's answer was lost", async () => {
    await using engine = await openFakeEngine();
    engine.break(CREATE, "carried out");
    const { result } = await runJson(["--", "true"], { env: { DOCKER_HOST: engine.host } });
    expect(result).toMatchObject({ reason: "engine-lost", destroyed: false } satisfies Partial<RunResult>);
  });

  it("says so when the engine refused", async () => {
    await using engine = await openFakeEngine();
    engine.break(CREATE, "500");
    const { result } = await runJson(["--", "true"], { env: { DOCKER_HOST: engine.host } });
    expect(result).toMatchObject({ reason: "failed", destroyed: true, proof: "never-created" } satisfies Partial<RunResult>);
  });
});

describe("a proxy before the engine that misbehaves nowhere", () => {
  it("lets a run pass, so that each failure above is the fault's", async () => {
    await using engine = await openFakeEngine();
    const { status, result } = await runJson(["--", "echo", "well"], { env: { DOCKER_HOST: engine.host } });
    expect({ status, text: result.stdout.text }).toEqual({ status: 0, text: "well\n" });
    const asked = Object.entries(REQUESTS).filter(([, request]) => engine.requests.some((line) => request.test(line)));
    expect(asked.map(([name]) => name)).toEqual(expect.arrayContaining([...NEEDED, "to tell when the container is gone"]));
  });
});
