import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { SandboxError } from "../../../src/core/errors.ts";
import { createClient } from "../../../src/engine/docker/client.ts";
import { destroyContainer } from "../../../src/engine/docker/destroy.ts";
import { connectEngine } from "../../../src/engine/find-engine.ts";
import type { Image } from "../../../src/engine/port.ts";
import type { TempDirectory } from "../../lab/temp-directory.ts";
import { answer, BEHAVIOURS, type Behaviour, openScriptedEngine, VERSION } from "../scripted-engine.ts";
import { searchFor, specFor, standInGuest } from "../stand-in.ts";

const ID = "a".repeat(64);
const IMAGE: Image = { ref: "fake", id: `sha256:${ID}`, digest: undefined, arch: "amd64", path: undefined, volumes: [], labels: {} };

/** The answers of an engine that works, by the beginning of the request. */
const GOOD: readonly (readonly [RegExp, string])[] = [
  [/^GET \/version /, answer(200, JSON.stringify(VERSION))],
  [/^GET \/volumes\//, answer(200, JSON.stringify({ Name: "v", Mountpoint: "/v" }))],
  [/^POST \/containers\/create/, answer(201, JSON.stringify({ Id: ID, Warnings: [] }))],
  [/^POST \/containers\/\w+\/attach/, "HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n"],
  [/^POST \/containers\/\w+\/start/, "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n"],
  [/^DELETE /, "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n"],
  [/^GET \/containers\/\w+\/json/, answer(404, JSON.stringify({ message: "No such container" }))],
];

/** Works until a request that matches `broken`, which is treated with `behaviour`. */
function brokenAt(broken: RegExp, behaviour: Behaviour): Behaviour {
  return (socket, head) => {
    const found = GOOD.find(([request]) => request.test(head));
    if (broken.test(head)) behaviour(socket, head);
    else if (found !== undefined) socket.write(found[1]);
  };
}

describe("an engine that breaks on the way", () => {
  let guest: TempDirectory;
  beforeAll(async () => {
    guest = await standInGuest();
  });
  afterAll(() => guest[Symbol.asyncDispose]());

  async function run(behaviour: Behaviour): Promise<unknown> {
    await using fake = await openScriptedEngine(behaviour);
    const engine = await connectEngine(searchFor(`unix://${fake.path}`, guest));
    try {
      const container = await engine.create(specFor(IMAGE));
      const pipe = await container.attach();
      pipe.on("error", () => undefined);
      await container.start();
      return await container.destroy();
    } finally {
      engine.close();
    }
  }

  it("works when it does not break", async () => {
    expect(await run(brokenAt(/^NEVER/, BEHAVIOURS.reset))).toEqual({ destroyed: true, proof: "engine-404" });
  });

  const requests = {
    "volume look-up": /^GET \/volumes/,
    create: /^POST \/containers\/create/,
    attach: /^POST \/containers\/\w+\/attach/,
    start: /^POST \/containers\/\w+\/start/,
  };
  const faults = ["reset", "closed", "garbage", "error500", "halfBody", "notJson", "otherJson"] as const;
  const cases = Object.entries(requests).flatMap(([name, request]) => faults.map((fault) => ({ name, request, fault })));

  it.each(cases.filter(({ name, fault }) => !(name === "start" && fault === "otherJson")))(
    "ends with an error of ours when $name is answered with $fault",
    async ({ request, fault }) => {
      const failure = await run(brokenAt(request, BEHAVIOURS[fault])).catch((error: unknown) => error);
      expect(failure).toBeInstanceOf(SandboxError);
      expect(failure).toMatchObject({ code: expect.stringMatching(/^(ENGINE_LOST|NOT_AN_ENGINE|CREATE_FAILED|START_FAILED)$/) });
      expect(failure).toMatchObject({ message: expect.not.stringMatching(/[\p{Cc}]/u) });
    },
  );

  async function destroy(behaviour: Behaviour): Promise<unknown> {
    await using fake = await openScriptedEngine(behaviour);
    const client = await createClient({ kind: "unix", path: fake.path }, {});
    return await destroyContainer(client, { id: ID, removal: undefined, timeout: 500 }).finally(() => client.close());
  }

  it.each(["silent", "halfThenSilent", "reset", "closed", "error500", "garbage"] as const)(
    "gives destroying up in time when it is answered with %s",
    async (fault) => {
      const started = performance.now();
      const failure = await destroy(BEHAVIOURS[fault]).catch((error: unknown) => error);
      expect(failure).toMatchObject({ code: expect.stringMatching(/^(DESTROY_FAILED|ENGINE_LOST|ENGINE_TIMEOUT|NOT_AN_ENGINE)$/) });
      expect(performance.now() - started).toBeLessThan(2_000);
    },
  );

  it("does not believe an engine that says removed and still shows the container", async () => {
    const still = brokenAt(/^GET \/containers\/\w+\/json/, (socket) =>
      socket.end(answer(200, JSON.stringify({ Id: ID, State: { Running: true } }))),
    );
    await expect(destroy(still)).rejects.toMatchObject({ code: "DESTROY_FAILED" });
  });

  it("treats a removal that is already in progress as a fact", async () => {
    let deletions = 0;
    const busy = brokenAt(/^(DELETE|GET \/containers)/, (socket, head) => {
      if (head.startsWith("DELETE")) deletions += 1;
      const gone = deletions > 1;
      if (head.startsWith("GET")) socket.end(gone ? answer(404, "{}") : answer(200, JSON.stringify({ Id: ID, State: {} })));
      else socket.end(gone ? answer(404, "{}") : answer(409, '{"message":"removal of container x is already in progress"}'));
    });
    expect(await run(busy)).toEqual({ destroyed: true, proof: "engine-404" });
  });

  it("refuses a container whose limits the engine would ignore", async () => {
    const body = JSON.stringify({ Id: ID, Warnings: ["Your kernel does not support pids limit capabilities. PIDs limit discarded."] });
    const weak = brokenAt(/^POST \/containers\/create/, (socket) => socket.end(answer(201, body)));
    await expect(run(weak)).rejects.toMatchObject({ code: "UNSUPPORTED", message: expect.stringContaining("PIDs limit") });
  });

  it("breaks the pipe when the stream of the container is garbage", async () => {
    const garbage = brokenAt(
      /^POST \/containers\/\w+\/attach/,
      (socket) => void socket.write("HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\nhello, I am a terminal"),
    );
    await using fake = await openScriptedEngine(garbage);
    const engine = await connectEngine(searchFor(`unix://${fake.path}`, guest));
    const container = await engine.create(specFor(IMAGE));
    const pipe = await container.attach();
    const broken = new Promise((resolve) => pipe.once("error", resolve));
    await container.start();
    pipe.resume();
    expect(await broken).toMatchObject({ code: "ENGINE_LOST", message: expect.stringContaining("68656c6c6f2c2049") });
    engine.close();
  });
});
