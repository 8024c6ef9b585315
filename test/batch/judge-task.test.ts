import { describe, expect, it } from "vitest";
import type { BatchTask } from "../../src/batch/batch-task.ts";
import { createJudge } from "../../src/batch/judge-task.ts";
import { digestTask } from "../../src/batch/task-digest.ts";
import type { SecretRequest } from "../../src/policy/egress-spec.ts";
import type { TaskRequest } from "../../src/policy/task-request.ts";

type Flags = Omit<TaskRequest, "command">;
type Line = Omit<BatchTask, "id" | "command">;

const line = (rest: Line): BatchTask => ({ id: "a", command: ["true"], ...rest });
const judge = (flags: Flags, rest: Line) => createJudge({ ...flags, command: ["none"] }).judge(line(rest));
const secret = (...hosts: readonly string[]): SecretRequest => ({
  name: "KEY",
  from: { kind: "env", variable: "KEY" },
  hosts,
  in: ["header"],
});

describe("a task of a batch", () => {
  it("has all that the flags say, and its own besides", () => {
    const flags: Flags = {
      image: "x",
      env: { A: "1", B: "1" },
      mounts: ["/a:/a"],
      artifacts: ["*.a"],
      memory: "256m",
      labels: { l: "1" },
      exclude: ["*.o"],
    };
    const task = judge(flags, {
      env: { B: "2" },
      mounts: ["/b:/b"],
      artifacts: ["*.b"],
      memory: "128m",
      workspace: "w",
      cpus: 0.5,
      pids: "9",
    });
    expect(task).toMatchObject({
      image: { ref: "x" },
      env: { A: "1", B: "2" },
      mounts: [{ target: "/a" }, { target: "/b" }],
      artifacts: ["*.a", "*.b"],
      labels: { l: "1" },
      workspace: { directory: "w", exclude: ["*.o"] },
      quotas: { memoryBytes: 128 * 1024 ** 2, cpus: 0.5, pids: 9 },
    });
    expect(judge({ ...flags, workspace: "f" }, {}).workspace).toMatchObject({ directory: "f", exclude: ["*.o"] });
  });

  it.each<[Flags, Line, RegExp]>([
    [{}, { memory: "513m" }, /memory is 513 MiB, more than the 512 MiB/],
    [{ memory: "64m" }, { memory: "65m" }, /memory is 65 MiB/],
    [{}, { timeout: "6m" }, /timeout is 6 min, more than the 5 min/],
    [{}, { cpus: 1.5 }, /cpus is 1.5, more than the 1 /],
    [{ pids: "10" }, { pids: 11 }, /pids is 11/],
    [{}, { disk: "1g" }, /disk is 1 GiB/],
  ])("given %j can't ask for %j", (flags, rest, sentence) => {
    expect(() => judge(flags, rest)).toThrow(expect.objectContaining({ code: "BAD_QUOTA", message: expect.stringMatching(sentence) }));
  });

  it.each<[readonly string[], readonly string[], readonly (readonly [string, readonly number[]])[]]>([
    [["x.com"], ["x.com"], [["x.com", [443, 80]]]],
    [["x.com,y.com"], ["Y.com:443"], [["Y.com", [443]]]],
    [["x.com:1", "x.com:2"], ["x.com:2"], [["x.com", [2]]]],
    [
      ["*.x.com"],
      ["a.x.com", "*.x.com"],
      [
        ["a.x.com", [443, 80]],
        ["*.x.com", [443, 80]],
      ],
    ],
    [
      ["**.x.com"],
      ["a.b.x.com", "*.b.x.com", "*.x.com"],
      [
        ["a.b.x.com", [443, 80]],
        ["*.b.x.com", [443, 80]],
        ["*.x.com", [443, 80]],
      ],
    ],
    [["db=10.0.0.5:5432"], ["db:5432"], [["db", [5432]]]],
    [["x.com"], [], []],
  ])("given --allow %j may keep %j", (allow, own, left) => {
    expect(judge({ allow }, { allow: [...own] }).egress.rules.map(({ host, ports }) => [host, ports])).toEqual(left);
  });

  it.each<[readonly string[], string]>([
    [[], "x.com"],
    [["x.com"], "y.com"],
    [["x.com"], "x.com.evil.com"],
    [["x.com"], "ax.com"],
    [["x.com"], "*.x.com"],
    [["x.com:443"], "x.com"],
    [["x.com:443"], "x.com:80"],
    [["*.x.com"], "x.com"],
    [["*.x.com"], "a.b.x.com"],
    [["*.x.com"], "**.x.com"],
    [["*.x.com"], "*.a.x.com"],
    [["**.x.com"], "x.com"],
    [["**.x.com"], "evilx.com"],
    [["**.x.com"], "a\n.x.com"],
    [["db=10.0.0.5:5432"], "db=10.0.0.6:5432"],
    [["db.com"], "db.com=10.0.0.5:443"],
  ])("given --allow %j can't have %j", (allow, own) => {
    expect(() => judge({ allow }, { allow: [own] })).toThrow(expect.objectContaining({ code: "BAD_RULE" }));
  });

  it("keeps what restricts the rules that are left, and secrets for the hosts that are", () => {
    const flags: Flags = {
      allow: ["x.com", "y.com"],
      rate: "3/m",
      maxEgress: "1k",
      allowPrivate: true,
      secrets: [secret("x.com", "y.com")],
    };
    const { egress } = judge(flags, { allow: ["x.com"] });
    expect(egress).toMatchObject({
      rules: [{ host: "x.com", rate: "3/m", allowPrivate: true }],
      maxBytes: 1024,
      secrets: [{ hosts: ["x.com"] }],
    });
    expect(judge(flags, { allow: [] }).egress).toMatchObject({ rules: [], secrets: [], maxBytes: undefined });
  });

  it("keeps every restriction of a rule of a task file, and what it denies", () => {
    const [rule] = judge({ allow: ["**.x.com"] }, {}).egress.rules;
    if (rule === undefined) throw new Error("no rule");
    const rules = [
      { ...rule, methods: ["GET"] },
      { ...rule, host: "b.x.com", deny: true },
    ];
    expect(judge({ rules }, { allow: ["a.x.com"] }).egress.rules).toMatchObject([
      { host: "b.x.com", deny: true },
      { host: "a.x.com", deny: false, methods: ["GET"] },
    ]);
  });

  it("has a digest of all that decides what it does", () => {
    const digest = (flags: Flags, rest: Line): string => digestTask(line(rest), judge(flags, rest));
    const same = digest({ env: { A: "1", B: "2" } }, {});
    expect(digest({ env: { B: "2" } }, { env: { A: "1" } })).toBe(same);
    const others = [{ stdin: "" }, { stdin: "x" }, { timeout: "1s" }, { workspace: "w" }, { allow: [] }, { env: { C: "1" } }].map((rest) =>
      digest({}, rest),
    );
    expect(new Set([...others.filter((_, at) => at !== 4), digest({}, {}), digest({ image: "y" }, {}), same]).size).toBe(8);
  });
});
