import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { z } from "zod";
import { createRunId } from "../../src/core/ids.ts";
import { connectEngine } from "../../src/engine/find-engine.ts";
import { resolvePosture } from "../../src/engine/posture.ts";
import type { Command } from "../../src/guest/command.ts";
import { openSession, type Session } from "../../src/guest/session.ts";
import { type CliResult, runCli } from "../lab/cli.ts";
import { dockerCli, engineSocket } from "../lab/engine-api.ts";
import { TEST_IMAGES } from "../lab/images.ts";
import { openProbes } from "../lab/probes.ts";
import { type TempDirectory, tempDirectory } from "../lab/temp-directory.ts";

const MIB = 1024 * 1024;
const DIST = fileURLToPath(new URL("../../dist", import.meta.url));
const GUEST = `${DIST}/guest/${process.arch === "arm64" ? "linux-arm64" : "linux-x64"}/guest`;
/** The ways into a process that the seccomp profile closes for every process, whatever it does for itself. */
const CLOSED_FOR_ALL = ["pidfd_getfd", "process_vm_readv", "ptrace"];

/** Resources of `prlimit`, each at the place that is its number. */
const RESOURCES = ["CPU", "FSIZE", "DATA", "STACK", "CORE", "RSS", "NPROC", "NOFILE", "MEMLOCK", "AS", "LOCKS", "SIGPENDING", "MSGQUEUE"];

let directory: TempDirectory;

beforeAll(async () => {
  directory = await openProbes("guest-attack");
});
afterAll(() => directory[Symbol.asyncDispose]());

describe("a command that looks for a way into the guest", () => {
  it("finds none by files of /proc, all of which lead into an ordinary process of the same user", async () => {
    const guest = waysIn((await attack(["pry", "1"])).stdout);
    const ordinary = waysIn((await attack(["pry", "0"])).stdout);
    expect(open(guest)).toEqual([]);
    expect(guest.size).toBeGreaterThan(20);
    expect(closed(ordinary)).toEqual(CLOSED_FOR_ALL);
    expect([...guest.keys()]).toEqual([...ordinary.keys()]);
  });

  it("finds none without the seccomp profile either: the guest protects itself", async () => {
    const mounts = [`--volume=${GUEST}:/guest:ro`, `--volume=${directory.path}:/probe:ro`];
    const flags = ["--network=none", "--user=65532:65532", "--cap-drop=ALL", "--security-opt=seccomp=unconfined"];
    const printed = await dockerCli(["run", "--detach", "--interactive", ...flags, ...mounts, "--entrypoint=/guest", TEST_IMAGES.busybox]);
    const container = printed.trim();
    onTestFinished(async () => void (await dockerCli(["rm", "--force", container])));
    const pry = (target: string): Promise<string> => dockerCli(["exec", "--user=65532", container, "/probe/guest-attack", "pry", target]);
    expect(open(waysIn(await pry("1")))).toEqual([]);
    expect(closed(waysIn(await pry("0")))).toEqual([]);
  });

  it("changes nothing by any of the 64 signals, two of which stop and kill an ordinary process", async () => {
    const all = "signal=1; while [ $signal -le 64 ]; do kill -$signal 1 || echo refused $signal; signal=$((signal + 1)); done";
    const ordinary = "sleep 60 & kill -STOP $!; until grep 'State.*(stopped)' /proc/$!/status; do :; done; kill -KILL $!; wait $!; echo $?";
    const { status, stdout } = await shell(`${all}; ${ordinary}; exit 7`);
    expect({ status, stdout }).toEqual({ status: 7, stdout: "State:\tT (stopped)\n137\n" });
  });

  it("can't write to the guest's own directory, where a copy elsewhere is its own", async () => {
    const change = "echo x >guest; rm -f guest; mv guest other; ln -s guest link; touch new; chmod 777 guest; mount -o remount,rw .";
    const compare = "cmp guest /proc/self/fd/9 && ls | grep -c -x -e other -e link -e new";
    const script = (place: string): string => `exec 2>/dev/null 9<${place}/guest; cd ${place}; ${change}; ${compare}`;
    expect(await shell(script("/.belljar"))).toMatchObject({ status: 1, stdout: "0\n" });
    expect(await shell(`cp -r /.belljar /tmp/copy; chmod -R u+w /tmp/copy; ${script("/tmp/copy")}`)).toMatchObject({ stdout: "" });
  });
});

describe("a run whose command attacks the guest ends with the command's own status", () => {
  const attacks: readonly [string, readonly string[]][] = [
    ["after 10,000 processes that the guest has to bury", ["orphan", "10000"]],
    ["after filling the sandbox with zombies", ["zombies"]],
    ["after opening 1,000 terminals", ["terminals", "1000"]],
    ["when it leaves a process behind", ["haunt"]],
  ];
  it.each(attacks)("%s", async (_name, words) => {
    expect(await resultOf(["/workspace/guest-attack", ...words])).toMatchObject({
      reason: "completed",
      exit: { code: 7 },
      destroyed: true,
    });
  });

  it("when it closes all of its descriptors", async () => {
    expect(await shell("exec <&- >&- 2>&-; exit 7")).toMatchObject({ status: 7, stdout: "", stderr: "" });
  });

  it("when it reads nothing of its input", async () => {
    const input = Buffer.alloc(8 * MIB);
    expect(await runCli(["run", "--image", TEST_IMAGES.busybox, "-i", "--", "sh", "-c", "exit 7"], { input })).toMatchObject({ status: 7 });
  });

  it("when it writes what looks like frames of the guest", async () => {
    const frames = String.raw`\0\0\0\001\023\0\0\034\0\0\0\0` + String.raw`\0\0\0\0\004\0\0\0`;
    const { bytes, status } = await shell(`printf '${frames}'; exit 7`);
    expect(status).toBe(7);
    expect(bytes).toEqual(Buffer.from("000000011300001c00000000" + "0000000004000000", "hex"));
  });
});

describe("a command that fills its pipe", () => {
  it("ends at the output limit", async () => {
    const { status, bytes, stderr } = await runCli(["run", "--image", TEST_IMAGES.busybox, "--max-output", "1m", "--", "yes"]);
    expect({ status, bytes: bytes.length }).toEqual({ status: 77, bytes: MIB });
    expect(stderr).toContain("output-limit");
  });
});

describe("a command that starves the guest, which the kernel lets a process of the same user do,", () => {
  it.each(["FSIZE", "STACK", "CORE", "RSS", "NPROC", "MEMLOCK", "LOCKS", "SIGPENDING", "MSGQUEUE"])(
    "of %s loses nothing of its results",
    async (resource) => {
      const { result, artifacts } = await starve(resource);
      expect(result).toMatchObject({ reason: "completed", exit: { code: 7 }, destroyed: true });
      expect(artifacts).toEqual(["kept"]);
    },
  );

  it.each([
    ["DATA", "The guest gave up: no memory for a pack."],
    ["AS", "The guest gave up: no memory for a pack."],
    ["NOFILE", 'Files can\'t be read out of the sandbox: EMFILE at "/workspace".'],
  ])("of %s loses its files, and the result says why", async (resource, why) => {
    const { result, artifacts } = await starve(resource);
    expect(result).toMatchObject({ reason: "failed", detail: expect.stringContaining(why), exit: { code: 7 }, destroyed: true });
    expect(artifacts).toEqual([]);
  });

  it("of CPU time ends its own sandbox, and nothing passes for its result", async () => {
    const script = `/workspace/guest-attack starve ${RESOURCES.indexOf("CPU")}; head -c 2000000000 /dev/zero`;
    const result = await resultOf(["sh", "-c", script], ["--max-output", "4g"]);
    expect(result).toMatchObject({ error: { code: "GUEST_LOST" }, exit: { code: null, signal: null }, destroyed: true });
    expect(["failed", "killed"]).toContain(result.reason);
  });

  it("of its turns on the CPU still ends at its time limit", async () => {
    const result = await resultOf(["/workspace/guest-attack", "idle"], ["--timeout", "1s", "--kill-after", "100ms"]);
    expect(result).toMatchObject({ reason: "timeout", destroyed: true });
  });

  async function starve(resource: string): Promise<{ readonly result: Result; readonly artifacts: readonly string[] }> {
    await using out = await tempDirectory();
    const script = `echo kept >kept; /workspace/guest-attack starve ${RESOURCES.indexOf(resource)}`;
    const result = await resultOf(["sh", "-c", script], ["--artifact", "kept", "--out", out.join("out")]);
    return { result, artifacts: result.artifacts.map(({ path }) => path) };
  }
});

describe("the next command in a sandbox", () => {
  it("is out of reach of what an earlier one left behind, because nothing of it is left", async () => {
    await using sandbox = await openSandbox();
    const { session } = sandbox;
    await (await haunted(session)).exited;
    await session.quiesce();
    const next = execute(session, ["sh", "-c", "cat; echo honest; exit 3"]);
    await next.started;
    next.stdin.end("asked\n");
    expect(await textOf(next)).toBe("asked\nhonest\n");
    expect((await next.exited).code).toBe(3);
  });

  it("would be written into without that", async () => {
    await using sandbox = await openSandbox();
    const { session } = sandbox;
    await (await haunted(session)).exited;
    const next = execute(session, ["cat"]);
    const [first] = await next.stdout.take(1).toArray();
    expect(String(first)).toContain("forged");
  });

  async function haunted(session: Session): Promise<Command> {
    const command = execute(session, ["/probe/guest-attack", "haunt"]);
    await command.started;
    return command;
  }
});

const resultSchema = z.looseObject({
  reason: z.string(),
  detail: z.string(),
  destroyed: z.boolean(),
  artifacts: z.array(z.looseObject({ path: z.string() })),
});
type Result = z.infer<typeof resultSchema>;

function attack(words: readonly string[]): Promise<CliResult> {
  return runCli(["run", "--image", TEST_IMAGES.busybox, "--workspace", directory.path, "--", "/workspace/guest-attack", ...words]);
}

function shell(script: string): Promise<CliResult> {
  return runCli(["run", "--image", TEST_IMAGES.busybox, "--", "sh", "-c", script]);
}

async function resultOf(command: readonly string[], flags: readonly string[] = []): Promise<Result> {
  const args = ["run", "--json", "--image", TEST_IMAGES.busybox, "--workspace", directory.path, ...flags, "--", ...command];
  return resultSchema.parse(JSON.parse((await runCli(args)).stdout));
}

/** Lines such as `open mem: ok`, by what was tried. */
function waysIn(printed: string): ReadonlyMap<string, string> {
  const lines = printed.trimEnd().split("\n");
  return new Map(lines.map((line): [string, string] => [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 2)]));
}

function open(ways: ReadonlyMap<string, string>): readonly string[] {
  return [...ways].filter(([, outcome]) => outcome === "ok").map(([way]) => way);
}

function closed(ways: ReadonlyMap<string, string>): readonly string[] {
  return [...ways].filter(([, outcome]) => outcome !== "ok").map(([way]) => way);
}

/** A sandbox for several commands, with the attacks in `/probe`. */
async function openSandbox(): Promise<AsyncDisposable & { readonly session: Session }> {
  const engine = await connectEngine({
    ...{ host: `unix://${engineSocket()}`, env: {}, home: "/nonexistent", uid: 0 },
    guestDirectory: `${DIST}/guest`,
    seccompFile: fileURLToPath(new URL("../../images/seccomp.json", import.meta.url)),
  });
  const image = await engine.findImage(TEST_IMAGES.busybox);
  if (image === undefined) throw new Error(`The engine has no image ${TEST_IMAGES.busybox}.`);
  const posture = resolvePosture({
    ...{ user: { uid: 65532, gid: 65532 }, hostname: "sandbox", runtime: undefined, imageVolumes: image.volumes },
    ...{ memoryBytes: 128 * MIB, cpus: 1, pids: 64, workspaceBytes: 16 * MIB, tmpBytes: 8 * MIB },
    mounts: [{ source: directory.path, target: "/probe", writable: false }],
  });
  const container = await engine.create({ run: createRunId(), image, posture, labels: {}, keep: false });
  const pipe = await container.attach();
  const opening = openSession(pipe, { watch: [] });
  await container.start();
  const session = await opening;
  return {
    session,
    async [Symbol.asyncDispose]() {
      session.close();
      await container.destroy();
      engine.close();
    },
  };
}

function execute(session: Session, argv: readonly [string, ...string[]]): Command {
  return session.exec({ argv, env: { PATH: "/bin" }, cwd: "/", stdin: true, terminal: undefined });
}

async function textOf(command: Command): Promise<string> {
  return String(Buffer.concat(await command.stdout.toArray()));
}
