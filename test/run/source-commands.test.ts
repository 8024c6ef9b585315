import { describe, expect, it } from "vitest";
import { createSourceCommands } from "../../src/run/source-commands.ts";
import { tempDirectory } from "../lab/temp-directory.ts";
import { leftAfter, processesWith } from "../lab/traces.ts";

/** A word that only the processes of one case have in their command lines. */
const mark = (): string => `mark-${Math.random().toString(36).slice(2)}`;
const left = (word: string) => leftAfter(5_000, async () => (await processesWith(word)).map(({ pid }) => `${pid}`));

describe("a command that prints a secret", () => {
  it("is run by a shell, in this environment, and its output is the value", async () => {
    using commands = createSourceCommands();
    await using place = await tempDirectory();
    expect(await commands.run(`cd ${place.path} && printf '%s ' "$HOME" && pwd`)).toBe(`${process.env["HOME"] ?? ""} ${place.path}\n`);
  });

  it.each([
    ["that ends with another status than 0", "echo hunter2; exit 3", /fails/],
    ["that is killed", "echo hunter2; kill -9 $$", /fails/],
    ["that is not there", "/does/not/exist", /fails/],
    ["that prints too much", "echo hunter2; cat /dev/zero", /too much/],
  ])("%s is an error that repeats nothing of it", async (_what, command, message) => {
    using commands = createSourceCommands();
    const error: unknown = await commands.run(command).catch((thrown: unknown) => thrown);
    expect(String(error)).toMatch(message);
    expect(String(error)).not.toContain("hunter2");
  });

  it("that hangs is killed at the time limit, with what it started", async () => {
    const word = mark();
    using commands = createSourceCommands(300);
    await expect(commands.run(`sh -c 'sleep 1000; : ${word}' & sleep 1000; : ${word}`)).rejects.toThrow("too long");
    expect(await left(word)).toEqual([]);
  });

  it("that has ended leaves nothing behind, and what it left does not hold the value up", async () => {
    const word = mark();
    using commands = createSourceCommands();
    expect(await commands.run(`sh -c 'sleep 1000; : ${word}' & echo value`)).toBe("value\n");
    expect(await left(word)).toEqual([]);
  });

  it("that still runs when the run ends is killed", async () => {
    const word = mark();
    const commands = createSourceCommands();
    const running = commands.run(`sh -c 'sleep 1000; : ${word}' & sleep 1000; : ${word}`);
    const failed = expect(running).rejects.toThrow("run is over");
    expect((await processesWith(word)).length).toBeGreaterThan(0);
    commands[Symbol.dispose]();
    await failed;
    expect(await left(word)).toEqual([]);
  });
});
