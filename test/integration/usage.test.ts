import { describe, expect, it } from "vitest";
import { COMMANDS } from "../../src/cli/commands.ts";
import { runCli } from "../lab/cli.ts";

const NAMES = COMMANDS.map(({ usage }) => usage.split(" ")[0] ?? "");

describe("the page of", () => {
  it("everything is shown for --help and help, and names every command", async () => {
    const page = await runCli(["--help"]);
    expect(page).toMatchObject({ status: 0, stderr: "" });
    for (const name of NAMES) expect(page.stdout).toMatch(new RegExp(`^  ${name} `, "m"));
    expect(await runCli(["help"])).toEqual(page);
  });

  it.each(NAMES)("%s is shown for --help and help", async (name) => {
    const page = await runCli([name, "--help"]);
    expect(page).toMatchObject({ status: 0, stderr: "", stdout: expect.stringMatching(new RegExp(`^Usage: sandbox ${name}\\b`)) });
    expect(await runCli(["help", name])).toEqual(page);
  });
});

describe("words that cannot be meant so get a sentence that names them, and the right ones:", () => {
  it.each([
    ["a misspelt command", ["rum"], "'rum'", "Write `sandbox run`."],
    ["help for a misspelt command", ["rum", "--help"], "'rum'", "Write `sandbox run`."],
    ["the page of a misspelt command", ["help", "rum"], "'rum'", "Write `sandbox run`."],
    ["a misspelt flag", ["prune", "--kpt"], "'--kpt'", "Write --kept."],
    ["a misspelt flag with its value", ["run", "--memry=1g", "--", "true"], "'--memry'", "Write --memory."],
    ["a flag that is like no other", ["run", "--xyzzy=1", "--", "true"], "'--xyzzy'", "See `sandbox run --help`."],
    ["a value for a flag that takes none", ["run", "--keep=1", "--", "true"], "'--keep=1'", "Write --keep."],
    ["a flag before the command", ["--host", "unix:///x", "ps"], "'--host'", "Write it after the command: `sandbox ps --host`."],
    ["a flag without its value", ["run", "--memory"], "--memory has no value", "Write --memory <size>."],
    [
      "a value that is none of a flag's",
      ["run", "--pull", "sometimes", "--", "true"],
      '--pull is "sometimes"',
      "Write one of: missing, always, never.",
    ],
    ["a command without its argument", ["kill"], "'run'", "Write `sandbox kill <run...>`."],
  ])("%s", async (_what, args, named, remedy) => {
    const { status, stdout, stderr } = await runCli(args);
    expect({ status, stdout }).toEqual({ status: 64, stdout: "" });
    const [sentence = "", hint, ...more] = stderr.split("\n");
    expect(sentence).toMatch(/^sandbox: .*\.$/);
    expect(sentence).toContain(named);
    expect([hint, ...more]).toEqual([`  ${remedy} (USAGE)`, ""]);
  });

  it.each([
    ...["memory", "disk", "tmp-size", "max-output"].map((flag) => [flag, "30", "size", "64m or 1Gi"] as const),
    ...["timeout", "kill-after"].map((flag) => [flag, "30", "duration", "30s or 5m"] as const),
  ])("a number without a unit for --%s", async (flag, value, kind, example) => {
    const { status, stderr } = await runCli(["run", `--${flag}`, value, "--", "true"]);
    expect({ status, stderr }).toEqual({
      status: 64,
      stderr: `sandbox: --${flag} is "${value}", which is not a ${kind}.\n  Write a number with a unit, such as ${example}. (BAD_${kind.toUpperCase()})\n`,
    });
  });

  it.each([
    ["ps", "sandbox ps"],
    ["prune", "sandbox prune"],
    ["doctor", "sandbox doctor"],
    ["images ls", "sandbox images ls"],
    ["images build sandbox/base", "sandbox images <action> [name]"],
    ["schema result", "sandbox schema <name>"],
    ["help run", "sandbox help [command]"],
  ])("one word too many for %s", async (words, usage) => {
    const { status, stderr } = await runCli([...words.split(" "), "extra"]);
    expect({ status, stderr }).toEqual({
      status: 64,
      stderr: `sandbox: "extra" is one argument too many.\n  Write \`${usage}\`. (USAGE)\n`,
    });
  });
});
