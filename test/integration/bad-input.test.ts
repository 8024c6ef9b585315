import { mkdir, symlink, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { describe, expect, it } from "vitest";
import { runCli } from "../lab/cli.ts";
import { TEST_IMAGES } from "../lab/images.ts";
import { type TempDirectory, tempDirectory } from "../lab/temp-directory.ts";

type Case = {
  readonly what: string;
  readonly args: (directory: TempDirectory) => readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly status: number;
  readonly code: string;
  readonly says: RegExp;
  /** Milliseconds that the answer may take on a busy machine; the promise for a quiet one is a second. */
  readonly within?: number;
};

const inBusybox = (...flags: readonly string[]) => ["run", "--image", TEST_IMAGES.busybox, ...flags, "--", "true"];

const CASES: readonly Case[] = [
  {
    what: "an environment file that is missing",
    args: (d) => inBusybox("--env-file", d.join("no")),
    status: 64,
    code: "BAD_ENV",
    says: /environment file .* can't be read/,
  },
  {
    what: "two mounts at one place",
    args: (d) => inBusybox("--mount", `${d.path}:/x`, "--mount", `${d.path}:/x`),
    status: 64,
    code: "BAD_MOUNT",
    says: /\/x/,
  },
  {
    what: "a mount over the workspace",
    args: (d) => inBusybox("--workspace", d.join("many"), "--mount", `${d.path}:/workspace`),
    status: 64,
    code: "BAD_MOUNT",
    says: /--workspace/,
  },
  {
    what: "the base image from a registry",
    args: () => ["run", "--pull", "always", "--", "true"],
    status: 64,
    code: "USAGE",
    says: /in no registry/,
  },
  { what: "an unknown flag", args: () => ["run", "--bogus", "--", "true"], status: 64, code: "USAGE", says: /'--bogus'/ },
  {
    what: "a misspelt flag, with the right one",
    args: () => ["run", "--memry", "1g", "--", "true"],
    status: 64,
    code: "USAGE",
    says: /'--memry'.*--memory/s,
  },
  { what: "an unknown command", args: () => ["rum"], status: 64, code: "USAGE", says: /'rum'/ },
  { what: "no command to run", args: () => ["run"], status: 64, code: "BAD_COMMAND", says: /no command to run/ },
  { what: "an empty word for a program", args: () => ["run", "--", ""], status: 64, code: "BAD_COMMAND", says: /first word is empty/ },
  { what: "a bare number for a size", args: () => inBusybox("--memory", "512"), status: 64, code: "BAD_SIZE", says: /--memory is "512"/ },
  {
    what: "a bare number for a duration",
    args: () => inBusybox("--timeout", "30"),
    status: 64,
    code: "BAD_DURATION",
    says: /--timeout is "30"/,
  },
  {
    what: "more CPUs than the engine's machine has",
    args: () => inBusybox("--cpus", "1000"),
    status: 64,
    code: "BAD_QUOTA",
    says: /--cpus is "1000", more than the \d+ .*--cpus \d+/s,
  },
  { what: "places that do not fit into memory", args: () => inBusybox("--disk", "1g"), status: 64, code: "BAD_QUOTA", says: /memory/ },
  {
    what: "a value that is not one of the choices",
    args: () => inBusybox("--pull", "sometimes"),
    status: 64,
    code: "USAGE",
    says: /sometimes/,
  },
  { what: "an environment variable without a name", args: () => inBusybox("-e", "=x"), status: 64, code: "BAD_ENV", says: /"=x"/ },
  {
    what: "an environment variable that is not set",
    args: () => inBusybox("-e", "NOT_SET_ANYWHERE"),
    status: 64,
    code: "BAD_ENV",
    says: /NOT_SET_ANYWHERE is not set/,
  },
  {
    what: "an image that does not exist",
    args: () => ["run", "--image", "no/such:image", "--pull", "never", "--", "true"],
    status: 69,
    code: "NO_IMAGE",
    says: /no\/such:image/,
  },
  {
    what: "an engine that is not there",
    args: (d) => ["run", "-H", `unix://${d.join("none.sock")}`, "--", "true"],
    status: 69,
    code: "NO_ENGINE",
    says: /none\.sock/,
  },
  {
    what: "an engine address that is none",
    args: () => ["run", "-H", "gopher://x", "--", "true"],
    status: 64,
    code: "BAD_HOST",
    says: /gopher/,
  },
  {
    what: "a runtime that the engine has not got",
    args: () => inBusybox("--runtime", "nosuch"),
    status: 69,
    code: "RUNTIME_MISSING",
    says: /nosuch/,
  },
  {
    what: "a workspace that is a file",
    args: (d) => inBusybox("--workspace", d.join("file")),
    status: 64,
    code: "WORKSPACE_MISSING",
    says: /file/,
  },
  {
    what: "a workspace that is missing",
    args: (d) => inBusybox("--workspace", d.join("missing")),
    status: 64,
    code: "WORKSPACE_MISSING",
    says: /missing/,
  },
  {
    what: "a workspace larger than --disk",
    args: (d) => inBusybox("--disk", "1m", "--workspace", d.join("large")),
    status: 64,
    code: "WORKSPACE_TOO_LARGE",
    says: /--disk|1 MiB/,
  },
  {
    what: "a workspace of more files than fit",
    args: (d) => inBusybox("--disk", "1m", "--workspace", d.join("many")),
    status: 64,
    code: "WORKSPACE_TOO_LARGE",
    says: /many/,
  },
  {
    what: "an output directory that is not empty",
    args: (d) => inBusybox("--artifact", "x", "--out", d.join("large")),
    status: 73,
    code: "OUT_UNWRITABLE",
    says: /large/,
  },
  {
    what: "an output directory below a file",
    args: (d) => inBusybox("--artifact", "x", "--out", d.join("file", "out")),
    status: 73,
    code: "OUT_UNWRITABLE",
    says: /file/,
  },
  {
    what: "an output directory that can't be written",
    args: () => inBusybox("--artifact", "x", "--out", "/proc/out"),
    status: 73,
    code: "OUT_UNWRITABLE",
    says: /\/proc/,
  },
  {
    what: "a result file that can't be written",
    args: () => inBusybox("--result", "/proc/result.json"),
    status: 73,
    code: "RESULT_UNWRITABLE",
    says: /\/proc/,
  },
  {
    what: "a result file in a directory that is missing",
    args: (d) => inBusybox("--result", d.join("missing", "r.json")),
    status: 73,
    code: "RESULT_UNWRITABLE",
    says: /\/missing" .*does not exist/,
  },
  {
    what: "a patch in a directory that is missing",
    args: (d) => inBusybox("--patch", d.join("missing", "fix.patch")),
    status: 73,
    code: "OUT_UNWRITABLE",
    says: /\/missing" .*does not exist/,
  },
  {
    what: "a patch without a directory for temporary files",
    args: (d) => inBusybox("--patch", d.join("fix.patch")),
    env: { TMPDIR: "/nosuch" },
    status: 73,
    code: "OUT_UNWRITABLE",
    says: /"\/nosuch".*TMPDIR/s,
  },
  { what: "an artifact outside the workspace", args: () => inBusybox("--artifact", "../x"), status: 64, code: "BAD_GLOB", says: /\.\.\/x/ },
  { what: "a mount of /", args: () => inBusybox("--mount", "/:/host"), status: 64, code: "BAD_MOUNT", says: /"\/"/ },
  {
    what: "a mount of the engine's socket",
    args: () => inBusybox("--mount", "/var/run/docker.sock:/s"),
    status: 64,
    code: "BAD_MOUNT",
    says: /docker\.sock/,
  },
  {
    what: "a mount of the engine's socket through a link",
    args: (d) => inBusybox("--mount", `${d.join("to-socket")}:/s`),
    status: 64,
    code: "BAD_MOUNT",
    says: /to-socket/,
  },
  {
    what: "a mount of / through a link",
    args: (d) => inBusybox("--mount", `${d.join("to-root")}:/s`),
    status: 64,
    code: "BAD_MOUNT",
    says: /to-root/,
  },
  {
    what: "a mount of a path that is missing",
    args: (d) => inBusybox("--mount", `${d.join("missing")}:/s`),
    status: 64,
    code: "BAD_MOUNT",
    says: /missing/,
  },
  {
    what: "a mount over the guest",
    args: (d) => inBusybox("--mount", `${d.path}:/.belljar`),
    status: 64,
    code: "BAD_MOUNT",
    says: /\.belljar/,
  },
  {
    what: "a command that is missing",
    args: () => ["run", "--image", TEST_IMAGES.busybox, "--", "nosuch"],
    status: 127,
    code: "NOT_FOUND",
    says: /"nosuch"/,
  },
  {
    what: "a command that is not executable",
    args: () => ["run", "--image", TEST_IMAGES.debian, "--", "/etc/passwd"],
    status: 126,
    code: "NOT_EXECUTABLE",
    says: /"\/etc\/passwd"/,
  },
  { what: "a working directory that is missing", args: () => inBusybox("-w", "/nosuch"), status: 64, code: "BAD_PATH", says: /\/nosuch/ },
  {
    what: "a run that does not exist",
    args: () => ["kill", "0123456789abcdefghjk"],
    status: 64,
    code: "NO_SUCH_RUN",
    says: /0123456789abcdefghjk/,
  },
  {
    what: "a secret whose variable is not set",
    args: () => inBusybox("--allow", "api.example.com", "--secret", "NOT_SET_TOKEN@api.example.com"),
    status: 69,
    code: "SECRET_UNAVAILABLE",
    says: /The secret NOT_SET_TOKEN .* variable NOT_SET_TOKEN, which is not set/,
  },
  {
    what: "a secret from another variable that is empty",
    args: () => inBusybox("--allow", "api.example.com", "--secret", "TOKEN=env:EMPTY_TOKEN@api.example.com"),
    env: { EMPTY_TOKEN: "" },
    status: 69,
    code: "SECRET_UNAVAILABLE",
    says: /The secret TOKEN .* variable EMPTY_TOKEN, which is empty/,
  },
  { what: "a schema that does not exist", args: () => ["schema", "nosuch"], status: 64, code: "USAGE", says: /"nosuch"/ },
];

async function prepare(): Promise<TempDirectory> {
  const directory = await tempDirectory();
  await writeFile(directory.join("file"), "a file");
  await mkdir(directory.join("large"));
  await writeFile(directory.join("large", "blob"), Buffer.alloc(2_000_000));
  await mkdir(directory.join("many"));
  for (let at = 0; at < 1_500; at += 1) await writeFile(directory.join("many", String(at)), "");
  await symlink("/", directory.join("to-root"));
  await symlink("/var/run/docker.sock", directory.join("to-socket"));
  return directory;
}

describe("bad input gets one sentence, a code, a remedy and its exit status:", () => {
  it.each(CASES)("$what", async ({ args, env = {}, status, code, says, within = 5_000 }) => {
    await using directory = await prepare();
    const from = performance.now();
    const done = await runCli(args(directory), { env });
    expect(performance.now() - from).toBeLessThan(within);
    expect(done.stderr).toMatch(says);
    expect(done.stderr).toMatch(new RegExp(`^sandbox: [^\\n]+\\n  [A-Z\`][^\\n]+ \\(${code}\\)\\n$`));
    expect({ status: done.status, stdout: done.stdout }).toEqual({ status, stdout: "" });
  });

  it("with --json as JSON", async () => {
    const refused = await runCli(["run", "--json", "--bogus", "--", "true"]);
    expect(JSON.parse(refused.stdout)).toMatchObject({ error: { code: "USAGE" } });
    const torn = await runCli(["run", "--json", "--events", "--", "true"]);
    expect(JSON.parse(torn.stdout)).toMatchObject({ error: { message: "--json and --events both want standard output." } });
    const failed = await runCli(["run", "--json", "--image", TEST_IMAGES.busybox, "--", "nosuch"]);
    expect(JSON.parse(failed.stdout)).toMatchObject({ reason: "failed", error: { code: "NOT_FOUND" }, destroyed: true });
  });
});

describe("an engine that", () => {
  async function answering(answer: string | undefined): Promise<{ readonly path: string } & AsyncDisposable> {
    const directory = await tempDirectory();
    const path = directory.join("engine.sock");
    const server = createServer((socket) => {
      socket.on("error", () => undefined);
      if (answer !== undefined) socket.end(answer);
    });
    await new Promise<void>((resolve) => server.listen(path, resolve));
    return {
      path,
      [Symbol.asyncDispose]: async () => {
        server.close();
        await directory[Symbol.asyncDispose]();
      },
    };
  }

  it("hangs is given up within five seconds", async () => {
    await using engine = await answering(undefined);
    const from = performance.now();
    const { status, stderr } = await runCli(["run", "-H", `unix://${engine.path}`, "--", "true"]);
    expect({ status, stderr }).toEqual({ status: 69, stderr: expect.stringContaining("(ENGINE_TIMEOUT)") });
    expect(performance.now() - from).toBeLessThan(5_000);
  });

  it.each([
    ["is not an engine", "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello"],
    ["does not speak HTTP", "SSH-2.0-OpenSSH_9.2\r\n"],
  ])("%s is named as such", async (_what, answer) => {
    await using engine = await answering(answer);
    const { status, stderr } = await runCli(["run", "-H", `unix://${engine.path}`, "--", "true"]);
    expect({ status, stderr }).toEqual({ status: 69, stderr: expect.stringContaining("(NOT_AN_ENGINE)") });
  });
});
