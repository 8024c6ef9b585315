import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Engine } from "../../src/engine/port.ts";
import { createWatchdog } from "../../src/engine/watchdog.ts";
import { askEngine, engineSocket } from "../lab/engine-api.ts";
import { TEST_IMAGES } from "../lab/images.ts";
import { tempDirectory } from "../lab/temp-directory.ts";
import { answer, type Behaviour, openScriptedEngine } from "./scripted-engine.ts";
import { openStandInEngine, specFor } from "./stand-in.ts";

const SCRIPT = fileURLToPath(new URL("../../dist/watchdog.js", import.meta.url));
const GONE = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";

describe("the watchdog", () => {
  let engine: Engine & AsyncDisposable;
  beforeAll(async () => {
    if (!existsSync(SCRIPT)) throw new Error("The product is not built. Run `npm run build`, or `npm test`, which does it by itself.");
    engine = await openStandInEngine();
  });
  afterAll(() => engine[Symbol.asyncDispose]());

  async function create() {
    const image = await engine.findImage(TEST_IMAGES.busybox);
    if (image === undefined) throw new Error("The test image is missing.");
    return engine.create(specFor(image));
  }

  /** A process that arms a watchdog for `name` through the pipe that the product uses, and then waits to be killed. */
  async function parentOf(name: string): Promise<ChildProcess> {
    const lines = `${JSON.stringify({ endpoint: { kind: "unix", path: engineSocket() }, env: {} })}\n+${name}\n`;
    const program = `
      const child = require("node:child_process").spawn(process.execPath, [${JSON.stringify(SCRIPT)}], { detached: true, stdio: ["pipe", "ignore", "ignore"] });
      child.stdin.write(${JSON.stringify(lines)}, () => console.log("armed"));
      setInterval(() => undefined, 1000);`;
    const parent = spawn(process.execPath, ["-e", program], { stdio: ["ignore", "pipe", "inherit"] });
    await once(parent.stdout, "data");
    return parent;
  }

  it("removes a container that was created and never started when its owner is killed, which stays without it", async () => {
    const [watched, unwatched] = await Promise.all([create(), create()]);
    const gone = askEngine({ method: "POST", path: `/containers/${watched.id}/wait?condition=removed` });
    const parent = await parentOf(watched.name);
    parent.kill("SIGKILL");
    expect((await gone).status).toBe(200);
    expect((await askEngine({ path: `/containers/${unwatched.id}/json` })).status).toBe(200);
    await unwatched.destroy();
  });

  it("goes on until a container that an engine is still creating was removed as well", async () => {
    const answers = [GONE, GONE, answer(204, ""), GONE];
    const late: Behaviour = (socket) => void socket.write(answers.length > 1 ? (answers.shift() ?? GONE) : GONE);
    await using fake = await openScriptedEngine(late);
    const watchdog = createWatchdog({ endpoint: { kind: "unix", path: fake.path }, script: SCRIPT, env: {} });
    watchdog.arm("sandbox-x");
    await watchdog[Symbol.asyncDispose]();
    await expect.poll(() => fake.requests.length, { timeout: 15_000, interval: 50 }).toBeGreaterThan(8);
    expect(new Set(fake.requests)).toEqual(new Set(["DELETE /containers/sandbox-x?force=true&v=true HTTP/1.1"]));
  });

  it("touches nothing and ends at once when all is disarmed", async () => {
    await using fake = await openScriptedEngine((socket) => void socket.write(GONE));
    const watchdog = createWatchdog({ endpoint: { kind: "unix", path: fake.path }, script: SCRIPT, env: {} });
    watchdog.arm("sandbox-y");
    watchdog.disarm("sandbox-y");
    await watchdog[Symbol.asyncDispose]();
    expect(fake.requests).toEqual([]);
  });

  it.each(["disarm", "release"] as const)("touches only what is still armed after the %s of the others", async (spare) => {
    await using fake = await openScriptedEngine((socket) => void socket.write(GONE));
    const watchdog = createWatchdog({ endpoint: { kind: "unix", path: fake.path }, script: SCRIPT, env: {} });
    for (const name of ["sandbox-a", "sandbox-b", "sandbox-c"]) watchdog.arm(name);
    for (const name of ["sandbox-a", "sandbox-c"]) watchdog[spare](name);
    await watchdog[Symbol.asyncDispose]();
    await expect.poll(() => fake.requests.length, { timeout: 15_000, interval: 50 }).toBeGreaterThan(3);
    expect(new Set(fake.requests)).toEqual(new Set(["DELETE /containers/sandbox-b?force=true&v=true HTTP/1.1"]));
  });

  it("hears at once of what shall stay, and of what is gone along with the next name", async () => {
    await using directory = await tempDirectory();
    const [script, heard] = [directory.join("recorder.cjs"), directory.join("heard")];
    await writeFile(script, `process.stdin.pipe(require("node:fs").createWriteStream(${JSON.stringify(heard)}))`);
    const watchdog = createWatchdog({ endpoint: { kind: "unix", path: "/nonexistent" }, script, env: {} });
    const lines = async (): Promise<readonly string[]> => (await readFile(heard, "utf8").catch(() => "")).split("\n").slice(1, -1);
    watchdog.arm("stays");
    watchdog.arm("gone");
    watchdog.disarm("gone");
    watchdog.release("stays");
    await expect.poll(lines).toEqual(["+stays", "+gone", "-gone", "-stays"]);
    watchdog.arm("first");
    watchdog.disarm("first");
    await expect.poll(lines).toHaveLength(5);
    watchdog.arm("second");
    await expect.poll(lines).toEqual(["+stays", "+gone", "-gone", "-stays", "+first", "-first", "+second"]);
    watchdog.disarm("second");
    await watchdog[Symbol.asyncDispose]();
  });

  it("does nothing when it was never armed", async () => {
    const watchdog = createWatchdog({ endpoint: { kind: "unix", path: "/nonexistent" }, script: "/nonexistent", env: {} });
    await expect(watchdog[Symbol.asyncDispose]()).resolves.toBeUndefined();
  });
});
