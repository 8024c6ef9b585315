import { describe, expect, it } from "vitest";
import { fault, type List, load } from "./loading.ts";

const jsonl = (...lines: readonly string[]): List => ({ name: "t.jsonl", content: lines.join("\n") });
const yaml = (content: string): List => ({ name: "t.yaml", content });
const csv = (content: string, template = "echo {a}"): List => ({ name: "t.csv", content, template });
const A = '{"id":"a","command":["true"]}';
const task = (rest: object, id = "b"): string => JSON.stringify({ id, command: ["true"], ...rest });

describe("a list of tasks", () => {
  it("says the same in each of its forms", async () => {
    const tasks = [
      { line: 1, id: "a", command: ["echo", "x y"], timeout: "10s", cpus: 0.5 },
      { line: 2, id: "b.2-_", command: ["echo", ""], timeout: "10s", cpus: 0.5 },
    ].map(({ line, ...each }) => ({ line, task: each }));
    const lines = tasks.map((each) => JSON.stringify(each.task));
    const items =
      '- { id: a, command: [echo, x y], timeout: 10s, cpus: 0.5 }\n- { id: b.2-_, command: [echo, ""], timeout: 10s, cpus: 0.5 }\n';
    const rows = { name: "t.csv", content: "id,what,timeout,cpus\na,x y,10s,0.5\nb.2-_,,10s,0.5\n", template: "echo {what}" };
    expect(await load(jsonl(...lines))).toEqual(tasks);
    expect(await load({ name: "-", content: lines.join("\r\n") })).toEqual(tasks);
    expect(await load({ name: "t.NDJSON", content: `\ufeff${lines.join("\n")}\n` })).toEqual(tasks);
    expect(await load(yaml(items))).toEqual(tasks);
    expect(await load(rows)).toEqual(tasks.map((each) => ({ line: each.line + 1, task: { ...each.task, cpus: "0.5" } })));
  });

  it("passes empty lines over and counts them", async () => {
    expect((await load(jsonl("", A, "  ", task({})))).map(({ line }) => line)).toEqual([2, 4]);
  });

  it("ends lines at line feeds alone: JSON may hold the separators of Unicode", async () => {
    const [one] = await load(jsonl(`{"id":"a","command":["echo","1\u20282\u20293\u0085"]}`));
    expect(one?.task.command).toEqual(["echo", "1\u20282\u20293\u0085"]);
  });

  it("counts the rows of CSV where none has an id, and takes cells of many lines", async () => {
    const rows = await load(csv('a,b\n"1\n2",x\r\n"say ""hi""",y\n', "echo {a} {b}"));
    expect(rows).toEqual([
      { line: 2, task: { id: "1", command: ["echo", "1\n2", "x"] } },
      { line: 4, task: { id: "2", command: ["echo", 'say "hi"', "y"] } },
    ]);
  });

  it.each<[string, List, number, RegExp]>([
    ["no JSON", jsonl(A, "{", A), 2, /not JSON/],
    ["JSON that is cut off", jsonl(A, task({}).slice(0, -1)), 2, /not JSON/],
    ["two values in a line", jsonl(A, A + A), 2, /not JSON/],
    ["no object", jsonl(A, "[1]"), 2, /a task is an object/],
    ["null", jsonl("null"), 1, /a task is an object/],
    ["bytes that are not UTF-8", { name: "t.jsonl", content: Buffer.from(`${A}\n{"id":"\xff"}\n`, "latin1") }, 2, /not UTF-8/],
    ["an unknown key", jsonl(A, task({ comand: [] })), 2, /"comand" is not a key/],
    ["a key twice", jsonl(A, '{"id":"b","command":["x"],"command":["y"]}'), 2, /"command" stands twice/],
    ["a key twice, spelt in two ways", jsonl(A, '{"id":"b","command":["x"],"env":{"\\u0041":"1","A":"2"}}'), 2, /"A" stands twice/],
    ["an id twice", jsonl(A, "", task({}), A), 4, /"a" stands on line 1/],
    ["no id", jsonl('{"command":["true"]}'), 1, /no id/],
    ["no command", jsonl('{"id":"a"}'), 1, /no command/],
    ["an empty command", jsonl(task({ command: [] })), 1, /command is \[\]/],
    ["an empty program", jsonl(task({ command: [""] })), 1, /first word is empty/],
    ["a command that is a text", jsonl(task({ command: "echo" })), 1, /command is "echo"/],
    ["a word that is a number", jsonl(task({ command: ["echo", 1] })), 1, /command\[1\] is 1/],
    ["a NUL", jsonl(task({ command: ["echo", "\0"] })), 1, /NUL/],
    ["an empty id", jsonl(task({}, "")), 1, /the id ""/],
    ["an id with a slash", jsonl(task({}, "../x")), 1, /the id "\.\.\/x"/],
    ["an id with a line feed", jsonl(task({}, "x\n")), 1, /the id "x\\n"/],
    ["an id that is too long", jsonl(task({}, "x".repeat(101))), 1, /the id "x+/],
    ["the id of this directory", jsonl(task({}, ".")), 1, /uses itself/],
    ["the id of the one above", jsonl(task({}, "..")), 1, /uses itself/],
    ["the id of the summary", jsonl(task({}, "summary.json")), 1, /uses itself/],
    ["an id like an unfinished directory", jsonl(task({}, ".sandbox-partial-1")), 1, /uses itself/],
    ["a timeout without a unit", jsonl(A, task({ timeout: "5" })), 2, /"5".*not a duration/],
    ["a bad variable", jsonl(task({ env: { "a-b": "1" } })), 1, /"a-b"/],
    ["a bad mount", jsonl(task({ mounts: ["/x"] })), 1, /"\/x" is not a mount/],
    ["a bad glob", jsonl(task({ artifacts: ["../x"] })), 1, /\.\.\/x/],
    ["nothing", jsonl(""), 1, /no task/],
    ["YAML that is no list", yaml("id: a\ncommand: [x]\n"), 1, /not a list/],
    ["no YAML", yaml("- { id: a, command: [x] }\n- { id: b\n"), 3, /not YAML/],
    ["a key twice in YAML", yaml("- id: a\n  command: [x]\n  id: b\n"), 3, /"id" stands twice/],
    ["an alias", yaml("- &a { id: a, command: [x] }\n- *a\n"), 1, /anchors/],
    ["a word that YAML takes for something else", yaml("- { id: a, command: [true] }\n"), 1, /command\[0\] is true/],
    ["an item in the middle", yaml("- { id: a, command: [x] }\n- 7\n- { id: b, command: [x] }\n"), 2, /a task is an object/],
    ["a YAML list that is too long", yaml(`# ${"x".repeat(4 * 1024 * 1024)}\n- { id: a, command: [x] }\n`), 1, /4 MiB/],
    ["a row that is too short", csv("a,b\n1,2\n3\n4,5\n", "echo {a} {b}"), 3, /1 cell, the header 2/],
    ["a row that is too long", csv('a\n"1\n2"\n3,4\n'), 4, /2 cells, the header 1/],
    ["a header twice", csv("a,b,a\n1,2,3\n"), 1, /two columns are called "a"/],
    ["a column without a name", csv("a,\n1,2\n"), 1, /column 2 has no name/],
    ["a column that nobody uses", csv("a,tiemout\n1,2s\n"), 1, /"tiemout" is used nowhere/],
    ["a variable without a column", csv("a\n1\n", "echo {a} {b}"), 1, /\{b\} names no column/],
    ["a template that does not end", csv("a\n1\n", "echo '{a}"), 1, /quote/],
    ["an empty template", csv("a\n1\n", " "), 1, /empty/],
    ["a quote that is never closed", csv('a\n1\n"2\n3\n'), 3, /never closed/],
    ["a quote within a cell", csv('a\n1\nx"y\n'), 3, /quote stands where none can/],
    ["a cell that is no size", csv("a,memory\n1,64m\n2,64\n"), 3, /"64".*not a size/],
    ["an id twice in CSV", csv("id,a\nx,1\nx,2\n"), 3, /"x" stands on line 2/],
    ["an empty id in CSV", csv("id,a\nx,1\n,2\n"), 3, /the id ""/],
    ["CSV that is not UTF-8", { name: "t.csv", content: Buffer.from("a\n1\n\xff\n", "latin1"), template: "echo {a}" }, 3, /not UTF-8/],
    ["CSV with a header alone", csv("a\n"), 1, /no task/],
  ])("is refused for %s, with the line", async (_what, list, line, sentence) => {
    const { code, message, hint } = await fault(list);
    expect({ code, place: /^t\.\w+:\d+: /.exec(message)?.[0] }).toEqual({ code: "BAD_BATCH", place: `${list.name}:${line}: ` });
    expect(message).toMatch(sentence);
    expect(message).toMatch(/^[^\n]*\.$/);
    expect(hint).toMatch(/\.$/);
  });

  it.each<[string, List, RegExp]>([
    ["a name that says nothing", { name: "tasks.txt", content: A }, /could be anything/],
    ["CSV without a template", { name: "t.csv", content: "a\n1\n" }, /no commands by itself/],
    ["a template for something else", { ...jsonl(A), template: "echo" }, /--template is for CSV/],
  ])("is refused for %s", async (_what, list, sentence) => {
    expect(await fault(list)).toMatchObject({ code: "USAGE", message: expect.stringMatching(sentence) });
  });
});
