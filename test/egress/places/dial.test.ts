import { spawn } from "node:child_process";
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server } from "node:net";
import { createInterface } from "node:readline";
import { beforeEach, describe, expect, it, onTestFinished } from "vitest";
import { createDial, type Dialled } from "../../../src/egress/places/dial.ts";
import { compileRules } from "../../../src/egress/rule.ts";
import { parseAllow } from "../../../src/policy/egress-spec.ts";

const NAME = "origin.test";
const LOOPBACK = "127.0.0.1";
/** Listens and never accepts: the kernel takes two connections for it, and leaves all others without an answer. */
const DEAF = `const server = require("node:net").createServer().listen({ port: 0, host: "127.0.0.1", backlog: 1 }, () => {
  require("node:fs").writeSync(1, server.address().port + "\\n");
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
});`;
const TAKEN = 2;

let ending: AbortController;
beforeEach(() => {
  ending = new AbortController();
});

/** Dials the name, which a rule binds to a port of the loopback. */
async function dial(port: number): Promise<Dialled> {
  const rules = await compileRules(parseAllow(`${NAME}=${LOOPBACK}:${port}`), () => performance.now());
  const dialled = await createDial(
    () => Promise.reject(new Error("Nothing is looked up.")),
    ending.signal,
  )({ name: NAME, port: 443, rules });
  if ("socket" in dialled) onTestFinished(() => void dialled.socket.destroy());
  return dialled;
}

async function listen(onConnection: () => void = () => undefined): Promise<{ readonly port: number; readonly server: Server }> {
  const server = createServer((socket) => {
    onConnection();
    socket.on("error", () => undefined).end("welcome");
  });
  await once(server.listen(0, LOOPBACK), "listening");
  onTestFinished(() => void server.close());
  return { port: (server.address() as AddressInfo).port, server };
}

/** A place that answers nobody any more. */
async function startDeaf(): Promise<number> {
  const child = spawn(process.execPath, ["-e", DEAF], { stdio: ["ignore", "pipe", "inherit"] });
  onTestFinished(async () => {
    child.kill("SIGKILL");
    await once(child, "close");
  });
  const [line] = await once(createInterface({ input: child.stdout }), "line");
  const port = Number(line);
  for (let taken = 0; taken < TAKEN; taken += 1) {
    const socket = connect({ port, host: LOOPBACK }).on("error", () => undefined);
    onTestFinished(() => void socket.destroy());
    await once(socket, "connect");
  }
  return port;
}

describe("dialling", () => {
  it("gives an open connection, on which nothing has been lost", async () => {
    const dialled = await dial((await listen()).port);
    if ("failure" in dialled) throw new Error(dialled.failure.why);
    const [said] = await once(dialled.socket, "data");
    expect(String(said)).toBe("welcome");
  });

  it("tells that a place refuses", async () => {
    const { port, server } = await listen();
    await new Promise((resolve) => server.close(resolve));
    expect(await dial(port)).toEqual({ failure: { kind: "refused", why: `${LOOPBACK}:${port} refuses the connection` } });
  });

  it("ends with the run where a place does not answer", async () => {
    const port = await startDeaf();
    let settled = false;
    const dialled = dial(port).finally(() => {
      settled = true;
    });
    const other = await dial((await listen()).port);
    expect("socket" in other).toBe(true);
    expect(settled).toBe(false);
    ending.abort();
    expect(await dialled).toEqual({ failure: { kind: "timed-out", why: `${LOOPBACK}:${port} does not answer` } });
  });

  it("reaches nothing once the run has ended", async () => {
    let reached = 0;
    const { port } = await listen(() => {
      reached += 1;
    });
    await dial(port);
    ending.abort();
    expect(await dial(port)).toEqual({ failure: { kind: "timed-out", why: `${NAME} was not connected to before the run ended` } });
    await dial(port);
    const probe = connect({ port, host: LOOPBACK });
    await once(probe.resume(), "close");
    expect(reached).toBe(2);
  });
});
