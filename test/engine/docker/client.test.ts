import { once } from "node:events";
import { describe, expect, it } from "vitest";
import { createClient } from "../../../src/engine/docker/client.ts";
import { answer, BEHAVIOURS, type Behaviour, openScriptedEngine } from "../scripted-engine.ts";

async function ask(behaviour: Behaviour) {
  await using engine = await openScriptedEngine(behaviour);
  const client = await createClient({ kind: "unix", path: engine.path }, {});
  return await client.ask({ method: "GET", path: "/version", timeout: 300 }).finally(() => client.close());
}

describe("a client of the engine's API", () => {
  it("gives the status and the parsed body of any answer", async () => {
    expect(await ask((socket) => socket.end(answer(409, '{"message":"no"}')))).toEqual({ status: 409, body: { message: "no" } });
    expect(await ask((socket) => socket.end("HTTP/1.1 204 No Content\r\n\r\n"))).toEqual({ status: 204, body: undefined });
  });

  it.each([
    ["silent", "ENGINE_TIMEOUT"],
    ["halfThenSilent", "ENGINE_TIMEOUT"],
    ["reset", "ENGINE_LOST"],
    ["closed", "ENGINE_LOST"],
    ["halfBody", "ENGINE_LOST"],
    ["garbage", "NOT_AN_ENGINE"],
    ["notJson", "NOT_AN_ENGINE"],
  ] as const)("ends a request to an engine that is %s with %s", async (behaviour, code) => {
    const started = performance.now();
    await expect(ask(BEHAVIOURS[behaviour])).rejects.toMatchObject({ code, hint: expect.stringMatching(/\.$/) });
    expect(performance.now() - started).toBeLessThan(2_000);
  });

  it("refuses an answer without end", async () => {
    const endless: Behaviour = (socket) => {
      socket.write("HTTP/1.1 200 OK\r\n\r\n");
      const more = (): void => {
        while (!socket.destroyed && socket.write(Buffer.alloc(1024 * 1024, 32)));
        socket.once("drain", more);
      };
      more();
    };
    await using engine = await openScriptedEngine(endless);
    const client = await createClient({ kind: "unix", path: engine.path }, {});
    await expect(client.ask({ method: "GET", path: "/info", timeout: 20_000 })).rejects.toMatchObject({
      code: "NOT_AN_ENGINE",
      message: expect.stringContaining("32 MiB"),
    });
    client.close();
  });

  it("gives a request up when its signal says so", async () => {
    await using engine = await openScriptedEngine(BEHAVIOURS.silent);
    const client = await createClient({ kind: "unix", path: engine.path }, {});
    const abort = new AbortController();
    const asked = client.ask({ method: "POST", path: "/containers/x/wait", signal: abort.signal });
    abort.abort();
    await expect(asked).rejects.toMatchObject({ code: "INTERRUPTED" });
    client.close();
  });

  it("hands over what an engine sent together with the upgrade", async () => {
    await using engine = await openScriptedEngine(
      (socket) => void socket.write("HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\nfirst bytes"),
    );
    const client = await createClient({ kind: "unix", path: engine.path }, {});
    const opened = await client.hijack({ method: "POST", path: "/containers/x/attach", timeout: 1_000 });
    if (!("socket" in opened)) throw new Error("It was not upgraded.");
    const [chunk] = await once(opened.socket, "data");
    expect(String(chunk)).toBe("first bytes");
    opened.socket.destroy();
    client.close();
  });

  it("says what an engine answers instead of an upgrade", async () => {
    await using engine = await openScriptedEngine((socket) => socket.end(answer(404, '{"message":"No such container: x"}')));
    const client = await createClient({ kind: "unix", path: engine.path }, {});
    expect(await client.hijack({ method: "POST", path: "/containers/x/attach", timeout: 1_000 })).toEqual({
      status: 404,
      body: { message: "No such container: x" },
    });
    client.close();
  });
});
