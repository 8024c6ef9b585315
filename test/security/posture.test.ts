import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { readlink } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { z } from "zod";
import { runCli, startCli } from "../lab/cli.ts";
import { askEngine, dockerCli, engineSocket } from "../lab/engine-api.ts";
import { TEST_IMAGES } from "../lab/images.ts";
import { openProbes } from "../lab/probes.ts";
import type { TempDirectory } from "../lab/temp-directory.ts";
import { NOTHING_HELD, NOTHING_OWN, runUnconfined } from "../lab/unconfined.ts";
import { describeInspection, describeReading, parseReading, type Reading, type Surroundings } from "./posture-reading.ts";

const difference = z.strictObject({ at: z.array(z.string()).min(2), value: z.unknown(), why: z.string().min(20) });
const expectedSchema = z.strictObject({
  inside: z.record(z.string(), z.unknown()),
  inspect: z.record(z.string(), z.unknown()),
  /** What may be found writable besides, and why that loosens nothing. */
  accepted: z.record(z.string(), z.string().min(20)),
  runsc: z.array(difference),
  hostile: z.array(difference),
});

type Difference = z.infer<typeof difference>;
type Observation = { readonly inside: unknown; readonly inspect: unknown };

const EXPECTED = expectedSchema.parse(JSON.parse(readFileSync(new URL("expected-posture.json", import.meta.url), "utf8")));

let directory: TempDirectory;
let surroundings: Surroundings;
/** What the probe reads in a container that nothing holds down. */
let loose: Reading;

beforeAll(async () => {
  directory = await openProbes("posture");
  const probes = directory.path;
  const [printed, plain] = await Promise.all([
    runUnconfined({ probes, command: ["/probe/posture"], flags: HELD_BY_NOTHING, image: TEST_IMAGES.hostile }),
    runUnconfined({ probes, command: ["/probe/posture"], flags: ["--network=none"] }),
  ]);
  loose = parseReading(printed);
  const engine = { ...loose.namespaces, mnt: await readlink("/proc/self/ns/mnt") };
  surroundings = { engine, plain: parseReading(plain) };
});
afterAll(() => directory[Symbol.asyncDispose]());

const HELD_BY_NOTHING = [
  ...NOTHING_HELD,
  ...NOTHING_OWN,
  ...["--ulimit=core=-1", "--device=/dev/kmsg", `--volume=${engineSocket()}:/engine.sock`],
];

describe("the posture of a sandbox, read from inside and from the engine's inspect", () => {
  it("is exactly the expected one", async () => {
    expect(await observe(TEST_IMAGES.busybox, [])).toEqual(expected([]));
  });

  it("is the same for an image that asks for everything it should not get, but for the written differences", async () => {
    expect(await observe(TEST_IMAGES.hostile, [])).toEqual(expected(EXPECTED.hostile));
  });

  it("is the same under gVisor, but for the written differences", async () => {
    expect(await observe(TEST_IMAGES.busybox, ["--runtime", "runsc"])).toEqual(expected(EXPECTED.runsc));
  });

  it("could be told from that of a container which nothing holds down, in every single point", () => {
    const inside: Readonly<Record<string, unknown>> = describeInside(loose);
    const same = Object.keys(EXPECTED.inside).filter((point) => JSON.stringify(inside[point]) === JSON.stringify(EXPECTED.inside[point]));
    expect(same).toEqual([]);
  });
});

describe("an image", () => {
  it.each([
    ["", []],
    [" under gVisor", ["--runtime", "runsc"]],
  ])("gets no root out of a program that is setuid root%s", async (_where, runtime) => {
    const image = TEST_IMAGES.hostile;
    const command = ["/bin/become-root"] as const;
    const inside = await runCli(["run", "--image", image, ...runtime, "--", ...command]);
    expect(inside).toMatchObject({ status: 1, stdout: "setuid(0)=-1 uid=65532 euid=65532\n" });
    const outside = await runUnconfined({ probes: directory.path, command, image, flags: ["--user=65532", "--network=none"] });
    expect(outside).toBe("setuid(0)=0 uid=0 euid=0\n");
  });

  it("starts nothing but the command, and preloads nothing into it", async () => {
    const image = TEST_IMAGES.hostile;
    const command = ["/bin/sh", "-c", "/usr/bin/resolve 2>&1"] as const;
    expect(await runCli(["run", "--image", image, "--", ...command])).toMatchObject({ status: 0, stdout: "", stderr: "" });
    expect(await runUnconfined({ probes: directory.path, command, image, flags: ["--network=none"] })).toBe("preloaded\n");
    expect(await dockerCli(["run", "--rm", "--network=none", image])).toBe("the entrypoint of the image ran\n");
  });

  it("is refused when it declares a volume that can't be covered", async () => {
    const { status, stdout, stderr } = await runCli(["run", "--image", TEST_IMAGES.uncoverable, "--", "true"]);
    expect({ status, stdout }).toEqual({ status: 69, stdout: "" });
    expect(stderr).toContain('The image declares a volume at "/proc/volume", where none can be covered.');
    expect(stderr).toContain("UNSUPPORTED");
  });
});

/** Runs the probe in a sandbox and asks the engine about it meanwhile. */
async function observe(image: string, flags: readonly string[]): Promise<Observation> {
  const label = `posture-test=${randomUUID()}`;
  const args = ["run", "--quiet", "--image", image, "--label", label, "--workspace", directory.path, ...flags, "--", "/workspace/posture"];
  const cli = startCli(args);
  await cli.waitFor('"sockets":[');
  const inspection = await inspect(label);
  cli.child.stdin.end();
  const { status, stdout, stderr } = await cli.done;
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  return { inside: describeInside(parseReading(stdout)), inspect: describeInspection(inspection) };
}

async function inspect(label: string): Promise<unknown> {
  const filters = encodeURIComponent(JSON.stringify({ label: [label] }));
  const { body } = await askEngine({ path: `/containers/json?filters=${filters}` });
  const [{ Id }] = z.tuple([z.object({ Id: z.string() })]).parse(body);
  return (await askEngine({ path: `/containers/${Id}/json` })).body;
}

function describeInside(reading: Reading) {
  const inside = describeReading(reading, surroundings);
  const isMeant = (entry: string): boolean => !entry.endsWith("/posture") && EXPECTED.accepted[entry] === undefined;
  return {
    ...inside,
    writableDirectories: inside.writableDirectories.filter(isMeant),
    writableFiles: inside.writableFiles.filter(isMeant),
  };
}

/** The expected posture with the written differences; one that changes nothing is a mistake in the file. */
function expected(differences: readonly Difference[]): Observation {
  const posture = structuredClone({ inside: EXPECTED.inside, inspect: EXPECTED.inspect });
  for (const { at, value } of differences) {
    const name = at.at(-1) ?? "";
    const holder = at.slice(0, -1).reduce<unknown>((part, key) => Reflect.get(Object(part), key), posture);
    expect(Reflect.get(Object(holder), name), `the difference at ${at.join(" ")}`).not.toEqual(value);
    Reflect.set(Object(holder), name, value);
  }
  return posture;
}
