import { appendFile, writeFile } from "node:fs/promises";
import { describe, expect, it } from "vitest";
import { createIdIndex } from "../../src/batch/id-index.ts";
import { openJournal, readJournal } from "../../src/batch/journal.ts";
import { createOutcomes, type Outcome } from "../../src/batch/outcomes.ts";
import { BATCH_REASONS } from "../../src/batch/summary-schema.ts";
import { tempDirectory } from "../lab/temp-directory.ts";

const WRITER = { pid: 7, start: "1", boot: "b" };

describe("the journal of a batch", () => {
  it("is not there before the first one", async () => {
    await using directory = await tempDirectory();
    expect(await readJournal(directory.path)).toBeUndefined();
  });

  it("tells what was under way at the end of each batch, and who wrote the last one", async () => {
    await using directory = await tempDirectory();
    {
      using journal = openJournal(directory.path, { ...WRITER, pid: 6 });
      for (const id of ["a", "b", "c"]) journal.started(id);
      journal.ended("a");
    }
    {
      using journal = openJournal(directory.path, WRITER);
      journal.started("b");
      journal.started("c");
      journal.started("c");
      journal.ended("b");
    }
    expect(await readJournal(directory.path)).toEqual({
      interruptions: new Map([
        ["b", 1],
        ["c", 2],
      ]),
      underWay: new Set(["c"]),
      writer: WRITER,
    });
  });

  it("loses no more than the line that was cut", async () => {
    await using directory = await tempDirectory();
    {
      using journal = openJournal(directory.path, WRITER);
      journal.started("a");
    }
    await appendFile(directory.join("journal.jsonl"), '\n{"ended": "a');
    {
      using journal = openJournal(directory.path, WRITER);
      journal.started("b");
    }
    expect((await readJournal(directory.path))?.interruptions).toEqual(
      new Map([
        ["a", 1],
        ["b", 1],
      ]),
    );
    await writeFile(directory.join("journal.jsonl"), 'null\n7\n[]\n{"batch":1,"writer":null}\n{"started":7}\n');
    expect(await readJournal(directory.path)).toEqual({ interruptions: new Map(), underWay: new Set(), writer: undefined });
  });
});

describe("what a batch keeps of each task", () => {
  it("finds every id again among many, with the line it stood in", () => {
    const index = createIdIndex();
    for (let id = 1; id <= 20_000; id += 1) expect(index.add(`t${id}`, id)).toBeUndefined();
    for (const id of [1, 2, 1023, 1024, 1025, 19_999, 20_000]) expect(index.add(`t${id}`, 7)).toBe(id);
    expect(index.add("t0", 1)).toBeUndefined();
  });

  it("gives back every outcome as it was", () => {
    const outcomes = createOutcomes(BATCH_REASONS.length * 2 + 1);
    const all: Outcome[] = BATCH_REASONS.flatMap((reason, index) =>
      [
        { code: 255 - index, signal: null },
        { code: null, signal: index === 0 ? "SIGKILL" : `SIG${index + 33}` },
      ].map((exit) => ({
        reason,
        exit,
        durations: { total: index + 0.5, execute: index },
        attempts: index,
        interruptions: 1,
        earlier: index === 1,
      })),
    );
    for (const [index, outcome] of all.entries()) outcomes.set(index, outcome);
    expect(all.map((_, index) => outcomes.get(index))).toEqual(all);
    expect(outcomes.get(all.length).reason).toBe("not-run");
    expect(outcomes.counts()).toEqual({ ...Object.fromEntries(BATCH_REASONS.map((reason) => [reason, 2])), "not-run": 3 });
    expect(outcomes.succeeded()).toBe(0);
  });
});
