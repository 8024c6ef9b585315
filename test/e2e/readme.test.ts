import { execFile } from "node:child_process";
import { cp, mkdir, readFile, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { engineSocket } from "../lab/engine-api.ts";
import { tempDirectory } from "../lab/temp-directory.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const readme = await readFile(`${ROOT}README.md`, "utf8");

/** The console sessions of the README: commands behind `$ `, and what they print. */
const sessions = [...readme.matchAll(/\*\*(\d+)\. (.+?)\*\*.*?```console\n(.*?)```/gs)].map(([, number = "", title = "", text = ""]) => ({
  number,
  title,
  text,
}));

/** Runs each command of a session in bash and gives the session as it would stand in the README. */
async function replay(text: string, options: { readonly cwd: string; readonly bin: string }): Promise<string> {
  let shown = "";
  for (const command of text.split("\n").filter((line) => line.startsWith("$ "))) {
    const env = { ...process.env, PATH: `${options.bin}:${process.env["PATH"] ?? ""}`, DOCKER_HOST: `unix://${engineSocket()}` };
    const output = await new Promise<string>((resolve) => {
      execFile("bash", ["-c", `{ ${command.slice(2)}; } 2>&1`], { cwd: options.cwd, env }, (_error, stdout) => resolve(stdout));
    });
    shown += `${command}\n${output}`;
  }
  return shown;
}

describe("the README", () => {
  it("has eleven examples", () => {
    expect(sessions.map(({ number }) => Number(number))).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
  });

  it.each(sessions)("prints what example $number says, the second time too: $title", async ({ text }) => {
    await using directory = await tempDirectory();
    const cwd = directory.join("project");
    await cp(`${ROOT}test/fixtures/python-project`, cwd, { recursive: true });
    await mkdir(directory.join("bin"));
    await writeFile(directory.join("bin", "sandbox"), `#!/bin/sh\nexec '${process.execPath}' '${ROOT}bin/sandbox.js' "$@"\n`, {
      mode: 0o755,
    });
    for (const _time of ["first", "second"]) expect(await replay(text, { cwd, bin: directory.join("bin") })).toBe(text);
  });
});
