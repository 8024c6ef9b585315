import { writeFile } from "node:fs/promises";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type BatchLab, batchLab } from "../lab/batch.ts";
import { TEST_IMAGES } from "../lab/images.ts";
import { type Screen, screensOf } from "../lab/screen.ts";
import { type TempDirectory, tempDirectory } from "../lab/temp-directory.ts";
import { type Session, sandboxInTerminal, type TerminalOptions } from "../lab/terminal.ts";

let directory: TempDirectory;
let lab: BatchLab;

/** What the spinner stands in front of. */
const LIVE = /^[⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏] /;

beforeEach(async () => {
  directory = await tempDirectory();
  lab = batchLab(directory);
  await lab.list([
    { id: "good", command: ["true"] },
    { id: "bad", command: ["sh", "-c", "exit 3"] },
    { id: "slow", command: ["sleep", "1000"], timeout: "100ms" },
    { id: "endless", command: ["sleep", "1000"] },
    { id: "late", command: ["true"] },
  ]);
});

afterEach(() => directory[Symbol.asyncDispose]());

function batch(options: TerminalOptions): Promise<Session> {
  const args = ["batch", directory.join("tasks.jsonl"), "--out", lab.out, "--image", TEST_IMAGES.busybox, "-j", "1", "--verbose"];
  return sandboxInTerminal(args, options);
}

/** Waits until the first three tasks are done and the fourth runs, then interrupts the batch. */
const untilEndless = [{ wait: "endless: started" }, { wait: "3/5" }, { type: "\u0003" }] as const;

function liveLines(screens: readonly Screen[]): readonly string[] {
  return [...new Set(screens.flatMap((screen) => screen.filter((line) => LIVE.test(line))).map((line) => line.replace(LIVE, "")))];
}

/** Said of every moment: never more than one such line, and nothing below it. */
function expectOneLiveLine(screens: readonly Screen[]): void {
  for (const screen of screens) {
    const first = screen.findIndex((line) => LIVE.test(line));
    expect(screen.slice(first === -1 ? screen.length : first + 1)).toEqual([]);
  }
}

const ENDED = [
  "outcome                tasks  such as",
  "completed              1",
  "completed, exit not 0  1      bad",
  "timeout                1      slow",
  "interrupted            1      endless",
  "not-run                1      late",
];

describe("a batch on a terminal", () => {
  it.each([
    ["of 80 columns", { rows: 24, columns: 80 }, "3/5 done, 1 running, 2 failed (1 exit not 0, 1 timeout)"],
    ["of 200 columns", { rows: 50, columns: 200 }, "3/5 done, 1 running, 2 failed (1 exit not 0, 1 timeout)"],
    ["of 40 columns", { rows: 24, columns: 40 }, "3/5 done, 2 failed"],
    ["of 20 columns", { rows: 24, columns: 20 }, "3/5, 2 failed"],
  ])("%s shows one line that changes, and a summary in its place at the end", async (_name, size, said) => {
    const { status, shown } = await batch({ ...size, steps: untilEndless });
    const screens = await screensOf(shown, size);
    expectOneLiveLine(screens);
    const lines = liveLines(screens);
    expect(lines.some((line) => line.startsWith(said))).toBe(true);
    expect(lines.every((line) => line.length < size.columns - 1)).toBe(true);
    const last = screens.at(-1) ?? [];
    expect(last.some((line) => LIVE.test(line))).toBe(false);
    expect(last.join("")).toContain("1 of 5 succeeded in ");
    if (size.columns >= 80) expect(last).toEqual(expect.arrayContaining(ENDED));
    expect(shown).not.toContain("\u001b[?25l");
    expect(status).toBe(130);
  });

  it("says how fast it goes and how long it will take, where there is room", async () => {
    const size = { rows: 24, columns: 120 };
    const { shown } = await batch({ ...size, steps: untilEndless });
    const lines = liveLines(await screensOf(shown, size));
    expect(lines).toContainEqual(
      expect.stringMatching(/^3\/5 done, 1 running, 2 failed \(1 exit not 0, 1 timeout\), \d+\.\d\/(s|min), \d+ (s|min) left$/),
    );
  });

  it("says at an interrupt that it ends, in a line of its own", async () => {
    const size = { rows: 24, columns: 200 };
    const { shown } = await batch({ ...size, steps: untilEndless });
    const last = (await screensOf(shown, size)).at(-1) ?? [];
    expect(last).toContain("sandbox: bad: completed: The command exited with 3.");
    expect(last).toContain(
      "sandbox: interrupted: no more tasks are started, and those that run are asked to end; once more ends them at once",
    );
  });

  it("that does not know its size gets a line for 80 columns", async () => {
    const { status, shown } = await batch({ rows: 0, columns: 0, steps: untilEndless });
    const screens = await screensOf(shown, { rows: 24, columns: 80 });
    expectOneLiveLine(screens);
    expect(liveLines(screens).some((line) => line.startsWith("3/5 done, 1 running, 2 failed (1 exit not 0, 1 timeout)"))).toBe(true);
    expect(screens.at(-1)).toEqual(expect.arrayContaining(ENDED));
    expect(status).toBe(130);
  });

  it("whose window changes meanwhile has one line all the time, as wide as the window is", async () => {
    const size = { rows: 24, columns: 100 };
    const steps = [
      { wait: "endless: started" },
      { wait: "3/5 done, 1 running, 2 failed (" },
      { resize: [24, 40] },
      { wait: "3/5 done, 2 failed" },
      { resize: [24, 100] },
      { wait: "3/5 done, 1 running, 2 failed (" },
      { type: "\u0003" },
    ] as const;
    const { shown } = await batch({ ...size, steps });
    const screens = await screensOf(shown, size);
    for (const screen of screens) expect(screen.filter((line) => LIVE.test(line)).length).toBeLessThanOrEqual(1);
    expect(screens.at(-1)).toEqual(expect.arrayContaining(ENDED));
  });

  it("has no colour with NO_COLOR, and the line moves all the same", async () => {
    const size = { rows: 24, columns: 80 };
    const plain = await batch({ ...size, steps: untilEndless, env: { NO_COLOR: "1" } });
    expect(liveLines(await screensOf(plain.shown, size)).length).toBeGreaterThan(1);
    expect(plain.shown).not.toMatch(COLOUR);
  });

  it("says how much of a long list it has looked at", async () => {
    const size = { rows: 24, columns: 80 };
    // A last line that is refused, so that nothing runs.
    await writeFile(directory.join("tasks.jsonl"), `${linesOfTasks(100_000)}{}\n`);
    const { status, shown } = await batch(size);
    const screens = await screensOf(shown, size);
    expectOneLiveLine(screens);
    expect(liveLines(screens)).toContainEqual(expect.stringMatching(/^checking the list: \d+ tasks$/));
    expect(screens.at(-1)?.join("")).toContain("tasks.jsonl:100001: the task has no id.");
    expect(status).toBe(64);
  });

  it.each([
    ["can't move its cursor", { TERM: "dumb" }],
    ["is a pipeline's", { CI: "true" }],
  ])("that %s gets plain lines", async (_name, env) => {
    const { shown, status } = await batch({ steps: [{ wait: "endless: started" }, { type: "\u0003" }], env });
    expect(shown).not.toContain("\u001b");
    expect(shown).toContain("sandbox: bad: completed: The command exited with 3.");
    expect(status).toBe(130);
  });
});

function linesOfTasks(count: number): string {
  return Array.from({ length: count }, (_, at) => `{"id":"t${at}","command":["true"]}\n`).join("");
}

/** SGR with an argument. */
const COLOUR = /\u001b\[\d/;

describe("a run on a terminal", () => {
  it("that does not know its size goes through the start's spinner to its end", async () => {
    const args = ["run", "--image", TEST_IMAGES.busybox, "--workspace", directory.path, "--", "echo", "over"];
    const { status, shown } = await sandboxInTerminal(args, { rows: 0, columns: 0 });
    expect((await screensOf(shown, { rows: 24, columns: 80 })).at(-1)).toEqual(["over"]);
    expect(status).toBe(0);
  });
});
