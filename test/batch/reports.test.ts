import { execFile } from "node:child_process";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { promisify } from "node:util";
import { describe, expect, it } from "vitest";
import { annotations, jobSummary, withoutCommands } from "../../src/batch/github.ts";
import { createOutcomes, type Outcome } from "../../src/batch/outcomes.ts";
import type { Report } from "../../src/batch/run-batch.ts";
import { openSpool } from "../../src/batch/spool.ts";
import type { Summary } from "../../src/batch/summary.ts";
import { writeJunit } from "../../src/batch/write-junit.ts";
import { writeSummary } from "../../src/batch/write-summary.ts";
import { tempDirectory } from "../lab/temp-directory.ts";

/** What a task could write to make a reader of reports do something. */
const HOSTILE = [
  "</failure></testcase><testcase name='forged'/>",
  "]]> <![CDATA[ &amp; &bogus; <!-- -->",
  "\0\x01\x08\x1b[2J\x1b]0;title\x07\x7f\x85\u2028\ufffe\uffff",
  "\r\n::error::forged\n::set-env name=A::B\r::add-path::/x",
  "##[add-path]/x ##[command]y",
  "| forged | row |\n# heading\n[link](http://evil) <img src=x> `code` *b* @someone https://evil www.evil",
  "100% %0A::stop-commands::x",
].join("\n");

const outcome = (reason: Outcome["reason"], code: number | null = null): Outcome => ({
  reason,
  exit: { code, signal: null },
  durations: { total: 1500, execute: 1000 },
  attempts: 1,
  interruptions: 0,
  earlier: false,
});

/** A batch that has ended, with a hostile task `hostile` that failed. */
async function withReport(outcomes: Readonly<Record<string, Outcome>>, use: (report: Report) => Promise<void>): Promise<void> {
  await using directory = await tempDirectory();
  using tasks = openSpool(directory.join("out"));
  const known = createOutcomes(Object.keys(outcomes).length);
  Object.entries(outcomes).forEach(([id, each], index) => {
    tasks.append({ line: index + 1, task: { id, command: ["true"] } });
    known.set(index, each);
  });
  const out = directory.join("out");
  await mkdir(`${out}/hostile`, { recursive: true });
  await writeFile(`${out}/hostile/stderr`, Buffer.concat([Buffer.from(HOSTILE), Buffer.from([0xff, 0xc3, 0x28])]));
  const result = { schema: "sandbox.result/1", labels: {}, reason: "failed", detail: HOSTILE, exit: { code: null, signal: null } };
  const times = { started: "2026-01-01T00:00:00.000Z", ended: "2026-01-01T00:00:01.000Z", phases: { execute: 1 } };
  await writeFile(`${out}/hostile/result.json`, JSON.stringify({ ...result, ...times }));
  const started = new Date("2026-01-01T00:00:00Z");
  await use({ started, ended: new Date("2026-01-01T00:01:00Z"), outcomes: known, tasks, out });
}

const MIXED = {
  a: outcome("completed", 0),
  hostile: outcome("failed"),
  b: outcome("completed", 3),
  c: outcome("not-run"),
  d: outcome("timeout"),
};

/** The report as a parser of XML that has nothing to do with us sees it. */
async function parseXml(path: string): Promise<unknown> {
  const program = `
import json, sys, xml.etree.ElementTree as tree
suites = tree.parse(sys.argv[1]).getroot()
cases = [[case.get("name"), [[part.tag, part.get("message"), part.text] for part in case]] for case in suites.iter("testcase")]
print(json.dumps({"totals": suites.attrib, "cases": cases}))`;
  return JSON.parse((await promisify(execFile)("python3", ["-c", program, path])).stdout) as unknown;
}

describe("the reports of a batch", () => {
  it("are well-formed XML with one case a task, whatever a task has written", async () => {
    await withReport(MIXED, async (report) => {
      await writeJunit(report, `${report.out}/junit.xml`);
      expect(await parseXml(`${report.out}/junit.xml`)).toEqual({
        totals: { tests: "5", failures: "2", errors: "1", skipped: "1", time: "60.000" },
        cases: [
          ["a", []],
          ["hostile", [["error", expect.stringContaining("name='forged'"), expect.stringContaining("::set-env name=A::B")]]],
          ["b", [["failure", "Its exit status is 3.", null]]],
          ["c", [["skipped", "The batch ended before its turn.", null]]],
          ["d", [["failure", "Its result can't be read.", null]]],
        ],
      });
      expect(await readFile(`${report.out}/junit.xml`, "utf8")).not.toMatch(/[\0-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\ufffe\uffff]/);
    });
  });

  it("hold one command for GitHub a failure, and none that a task has written", async () => {
    await withReport(MIXED, async (report) => {
      let log = "";
      for await (const line of annotations(report)) log += line;
      const lines = log.split("\n");
      expect(lines.map((line) => line.slice(0, 40))).toEqual([
        "::error title=sandbox batch%3A hostile::",
        "::error title=sandbox batch%3A b::comple",
        "::error title=sandbox batch%3A d::timeou",
        "",
      ]);
      expect(log).not.toContain("##[");
      expect(log).not.toMatch(/[\r\x1b]/);
      expect(lines[0]).not.toMatch(/%(?!25|3A|0A|0D|2C)/);
    });
  });

  it("take the words of old runners apart in every line", () => {
    expect(withoutCommands("a ##[add-path]b ###[x]")).toBe("a ## [add-path]b ### [x]");
  });

  it("are Markdown in which what a task wrote is nothing but text", async () => {
    await withReport(MIXED, async (report) => {
      const text = await jobSummary(report);
      expect(text.split("\n").slice(0, 3)).toEqual(["### sandbox batch: 1 of 5 succeeded", "", "1 min."]);
      const rows = text.split("\n").filter((line) => line.startsWith("| ") && line.includes("forged"));
      expect(rows).toHaveLength(1);
      const cell = rows[0]?.replace("| hostile | failed | ", "").replace(/ \|$/, "") ?? "";
      expect(cell.replace(/\\[!-/:-@[-`{-~]/g, "")).not.toMatch(/[!-/:-@[-`{-~]/);
    });
  });

  it("count all tasks, and show no more failures than people can read", async () => {
    const many = Object.fromEntries(Array.from({ length: 150 }, (_, index) => [`t${index}`, outcome("timeout")]));
    await withReport(many, async (report) => {
      const text = await jobSummary(report);
      expect(text.match(/^\| t\d+ /gm)).toHaveLength(100);
      expect(text).toContain("And 50 more.");
      const lines: string[] = [];
      for await (const line of annotations(report)) lines.push(line);
      expect(lines).toHaveLength(10);
      const summary = JSON.parse(await readFile(await writeSummary(report), "utf8")) as Summary;
      expect(summary.counts).toEqual({ timeout: 150 });
      expect(summary.tasks.map(({ id }) => id)).toEqual(Object.keys(many));
    });
  });
});
