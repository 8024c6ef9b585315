import { describe, expect, it } from "vitest";
import { MAX_TASK_FILE, readTaskFile } from "../../../src/policy/file/read-task-file.ts";
import type { TaskFile } from "../../../src/policy/file/task-file.ts";
import { fuzzRuns } from "../../lab/fuzz-runs.ts";
import { fc } from "../../lab/property.ts";
import { spentMs } from "../../lab/spent-time.ts";
import { faultOf, top } from "./files.ts";

/** As much of `unit` as a file may hold. */
function full(unit: string, before = ""): string {
  return before + unit.repeat(Math.floor((MAX_TASK_FILE - before.length) / unit.length));
}

function outcome(text: string): TaskFile | undefined {
  try {
    return readTaskFile(text, "f");
  } catch (error) {
    expect(error).toMatchObject({
      name: "SandboxError",
      code: "BAD_TASK_FILE",
      message: expect.stringMatching(/^f:[1-9]\d*:[1-9]\d*: .+\.$/),
    });
    return undefined;
  }
}

describe("a file made to hold up its reader ends it soon:", () => {
  const levels = Array.from(
    { length: 24 },
    (_, level) =>
      `l${level}: &l${level} [${Array(9)
        .fill(`*l${level - 1}`)
        .join(", ")}]`,
  );

  it.each([
    ["aliases that would stand for 9^24 values", `version: 1\nx: &x [x]\n${levels.join("\n")}\n`],
    ["an alias of itself", "version: 1\negress: &a [*a]\n"],
    ["aliases", full("*a ")],
    ["anchors", full("&a ")],
    ["tags", full("! ")],
    ["lists in lists", full("[")],
    ["maps in maps", full("{")],
    ["maps and lists in turn", full("{[")],
    ["maps in keys of maps", full("? ")],
    ["lists as keys of maps", full("[a]: ")],
    ["lists as keys of maps in a list", full("[b,]: ", "[a: ")],
    ["lists in lists by dashes", full("- ")],
    ["maps in maps on one line", full("a: ")],
    ["maps in maps within brackets", full("a: ", "{")],
    ["maps in maps by indentation", Array.from({ length: 1400 }, (_, level) => `${" ".repeat(level)}a:\n`).join("")],
    ["lists in lists by indentation", Array.from({ length: 1400 }, (_, level) => `${" ".repeat(level)}-\n`).join("")],
    ["brackets that close nothing", full("]")],
    ["commas", full(", ")],
    ["different keys", Array.from({ length: 80_000 }, (_, index) => `k${index}: 1\n`).join("")],
    ["the same key", full("a: b\n")],
    ["a long key", top(`${"k".repeat(500_000)}: 1`)],
    ["documents", full("---\n")],
    ["directives", full("%\n")],
    ["quotes", full('"')],
    ["a quote that never ends", full("a ", '"')],
    ["empty lines", full("\n")],
    ["comments", full("#\n")],
    ["block texts", full("a: |\n b\n")],
    ["one text of many lines", full("word\n")],
    ["rules", full("- {host: x}\n", "version: 1\negress:\n")],
    ["items on one line", `${full("a,", "version: 1\negress: [")}]`],
  ])("%s", (_what, text) => {
    const start = process.cpuUsage();
    const { message, hint } = faultOf(text.slice(0, MAX_TASK_FILE));
    expect(spentMs(start)).toBeLessThan(5000);
    expect(message.length + hint.length).toBeLessThan(1000);
  });

  it("the most rules that are taken", () => {
    const start = process.cpuUsage();
    expect(readTaskFile(top(`egress:\n${"- {host: x}\n".repeat(10_000)}`), "f").egress).toHaveLength(10_000);
    expect(spentMs(start)).toBeLessThan(5000);
  });
});

describe("whatever a file holds, it is read or refused with BAD_TASK_FILE:", () => {
  it("any text", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary", maxLength: 60 }), (text) => void outcome(text)),
      { numRuns: fuzzRuns(1500) },
    );
  });

  it("pieces of YAML, and what is read keeps what its type promises", () => {
    const words = [
      "version",
      "egress",
      "secrets",
      "sandbox",
      "host",
      "ports",
      "methods",
      "from",
      "hosts",
      "x",
      "GET",
      "1",
      "443",
      "~",
      "<<",
      "yes",
    ];
    const signs = [
      ": ",
      ":",
      ", ",
      "[",
      "]",
      "{",
      "}",
      "\n",
      "\n  ",
      "\n- ",
      "- ",
      "? ",
      "&a ",
      "*a",
      "! ",
      "|\n",
      ">-\n",
      '"',
      "'",
      "#",
      "\t",
      "%",
      "---\n",
    ];
    const piece = fc.constantFrom(...words, ...signs, "version: 1\n", "egress: ", "{ host: x }", "[]", "\r\n", "...\n", "\ufeff", "\\");
    const files = fc.array(piece, { maxLength: 30 }).map((pieces) => pieces.join(""));
    fc.assert(
      fc.property(
        fc.oneof(
          files,
          files.map(top),
          files.map((text) => top(`egress: [{ host: x, ${text} }]`)),
        ),
        (text) => {
          const file = outcome(text);
          for (const rule of file?.egress ?? []) {
            expect(rule.host).not.toBe("");
            for (const list of [rule.ports, rule.methods, rule.paths, rule.upgrade]) expect(list).not.toEqual([]);
          }
          for (const secret of file?.secrets ?? []) expect(secret.hosts.length * secret.in.length).toBeGreaterThan(0);
        },
      ),
      { numRuns: fuzzRuns(3000) },
    );
  });

  it("a rule in JSON is read as what it says", () => {
    const word = fc.stringMatching(/^[a-z*./-]{1,20}$/);
    const ports = fc.array(fc.integer({ min: 1, max: 65_535 }), { minLength: 1, maxLength: 3 });
    const denying = fc.record({ host: word, deny: fc.constant(true), ports }, { requiredKeys: ["host", "deny"] });
    const optional = { deny: fc.constant(false), ports, private: fc.boolean(), paths: fc.array(word, { minLength: 1, maxLength: 3 }) };
    const allowing = fc.record({ host: word, ...optional, rate: word }, { requiredKeys: ["host"] });
    const bursting = fc.record(
      { host: word, ...optional, rate: word, burst: fc.integer({ min: 1, max: 1_000_000 }) },
      { requiredKeys: ["host", "rate"] },
    );
    const rule: fc.Arbitrary<Readonly<Record<string, unknown>>> = fc.oneof(denying, allowing, bursting);
    fc.assert(
      fc.property(fc.array(rule, { maxLength: 4 }), (egress) => {
        const read = readTaskFile(JSON.stringify({ version: 1, egress }), "f").egress.map(({ where: _, ...others }) => others);
        expect(read).toEqual(egress.map((one) => ({ deny: false, private: false, ports: one["deny"] === true ? [] : [443, 80], ...one })));
      }),
      { numRuns: fuzzRuns(500) },
    );
  });
});
