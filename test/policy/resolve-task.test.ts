import { describe, expect, it } from "vitest";
import { resolveTask } from "../../src/policy/resolve-task.ts";
import type { TaskRequest } from "../../src/policy/task-request.ts";

const resolve = (request: Partial<TaskRequest>) => resolveTask({ command: ["true"], ...request });

describe("resolveTask", () => {
  it("fills every default of the reference", () => {
    const task = resolve({});
    expect(task).toMatchObject({
      image: { ref: "sandbox/base", pull: "missing", requireDigest: false },
      workdir: "/workspace",
      workspace: undefined,
      env: {},
      user: { uid: 65_532, gid: 65_532 },
      hostname: "sandbox",
      keep: false,
      terminal: false,
      quotas: {
        memoryBytes: 536_870_912,
        cpus: 1,
        pids: 256,
        diskBytes: 268_435_456,
        tmpBytes: 67_108_864,
        timeoutMs: 300_000,
        killAfterMs: 2000,
        outputBytes: 67_108_864,
      },
    });
  });

  it("gives a task that nothing can change afterwards", () => {
    expect(Object.isFrozen(resolve({}))).toBe(true);
  });

  const refusals: readonly [string, Partial<TaskRequest>, string, string][] = [
    ["no command", { command: [] }, "BAD_COMMAND", "There is no command to run."],
    ["an empty first word", { command: [""] }, "BAD_COMMAND", "The command's first word is empty."],
    ["a NUL in a word", { command: ["echo", "a\0b"] }, "BAD_COMMAND", "Word 2 of the command contains a NUL byte."],
    ["a size without a unit", { memory: "512" }, "BAD_SIZE", '--memory is "512", which is not a size.'],
    ["a duration without a unit", { timeout: "30" }, "BAD_DURATION", '--timeout is "30", which is not a duration.'],
    ["no processes", { pids: "0" }, "BAD_QUOTA", '--pids-limit is "0", which is not a whole number of at least 1.'],
    ["unlimited processes", { pids: "-1" }, "BAD_QUOTA", '--pids-limit is "-1", which is not a whole number of at least 1.'],
    ["no CPU", { cpus: "0" }, "BAD_QUOTA", '--cpus is "0", which is not a number of CPUs.'],
    ["root", { user: "0" }, "BAD_USER", "The user 0 is root."],
    ["the group root", { user: "1000:0" }, "BAD_USER", "The user 1000:0 is root."],
    ["a user by name", { user: "root" }, "BAD_USER", '"root" is not a user.'],
    ["a negative user", { user: "-1" }, "BAD_USER", '"-1" is not a user.'],
    ["a user beyond 32 bits", { user: "4294967295" }, "BAD_USER", '"4294967295" is not a user.'],
    ["a relative working directory", { workdir: "src" }, "BAD_PATH", 'The working directory "src" is not an absolute path.'],
    ["an environment name with a dash", { env: { "A-B": "1" } }, "BAD_ENV", '"A-B" is not a name of an environment variable.'],
    ["a NUL in a value", { env: { A: "\0" } }, "BAD_ENV", "The value of A contains a NUL byte."],
    ["one of our labels", { labels: { "sandbox.run": "x" } }, "BAD_LABEL", 'The label sandbox.run begins with "sandbox.", which is ours.'],
    ["a mount without target", { mounts: ["/tmp"] }, "BAD_MOUNT", '"/tmp" is not a mount.'],
    ["a mount with an unknown mode", { mounts: ["/tmp:/x:exec"] }, "BAD_MOUNT", '"/tmp:/x:exec" is not a mount.'],
    ["an image that is a flag", { image: "--privileged" }, "USAGE", '"--privileged" is not an image reference.'],
    ["an image with control characters", { image: "a\u001b[2J" }, "USAGE", '"a\u001b[2J" is not an image reference.'],
    [
      "a tag where a digest is wanted",
      { image: "debian:12", requireDigest: true },
      "IMAGE_DIGEST",
      "The image debian:12 is not named by its digest, as --require-digest wants.",
    ],
    ["a host name with a dot", { hostname: "a.b" }, "USAGE", '"a.b" is not a host name.'],
    [
      "excludes without a workspace",
      { exclude: ["*.log"] },
      "USAGE",
      "--exclude and --with-git say what of the workspace is copied, but there is no workspace.",
    ],
  ];
  it.each(refusals)("refuses %s", (_what, request, code, message) => {
    expect(() => resolve(request)).toThrow(expect.objectContaining({ code, message }) as Error);
  });

  it("takes a group apart from the user, and a read-write mount", () => {
    const task = resolve({ user: "1000:100", mounts: ["./data:/data:rw", "/etc/ssl:/certs"] });
    expect(task.user).toEqual({ uid: 1000, gid: 100 });
    expect(task.mounts).toEqual([
      { source: "./data", target: "/data", writable: true },
      { source: "/etc/ssl", target: "/certs", writable: false },
    ]);
  });
});
