import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { fillTemplate, parseTemplate } from "../../src/batch/template.ts";
import { load } from "./loading.ts";

const fill = (template: string, row: Readonly<Record<string, string>>): string[] =>
  fillTemplate(parseTemplate(template, Object.keys(row)), Object.values(row));

describe("a template", () => {
  it.each<[string, readonly string[]]>([
    ["python run.py {name} {size}", ["python", "run.py", "$(id); x", "3"]],
    ["  a\t'b  c'\\ d \"e'\\\"{size}\" ''", ["a", "b  c d", "e'\"3", ""]],
    ["--n={name}={size} '{name}'", ["--n=$(id); x=3", "$(id); x"]],
    ["{{name}} {{{size}}} {} { }", ["{name}", "{3}", "{}", "{", "}"]],
    ["'{\"n\":{size}}'", ['{"n":3}']],
    ["awk '{print $1}'", ["awk", "{print $1}"]],
    ["'{First Name}' {First Name}", ["Ann", "{First", "Name}"]],
    ["a | b > $HOME *", ["a", "|", "b", ">", "$HOME", "*"]],
  ])("%s has these words", (template, words) => {
    expect(fill(template, { name: "$(id); x", size: "3", "First Name": "Ann" })).toEqual(words);
  });

  it("never makes more or fewer words of a cell than one, whatever it holds", async () => {
    const cell = fc.string({ unit: "binary", maxLength: 20 }).map((text) => text.replace(/[\0\ud800-\udfff]/gu, ""));
    const row = fc.tuple(cell, cell, cell);
    const quoted = (text: string): string => `"${text.replaceAll('"', '""')}"`;
    await fc.assert(
      fc.asyncProperty(fc.array(row, { minLength: 1, maxLength: 5 }), async (rows) => {
        const content = ["a,b,c", ...rows.map((cells) => cells.map(quoted).join(","))].join("\n");
        const tasks = await load({ name: "t.csv", content, template: "run '{a}' \"-{b}-\" {c}{a}" });
        expect(tasks.map(({ task }) => task.command)).toEqual(rows.map(([a, b, c]) => ["run", a, `-${b}-`, `${c}${a}`]));
      }),
      { numRuns: 60 },
    );
  });
});
