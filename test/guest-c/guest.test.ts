import { execFile, execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { countInputs, fuzzMs, fuzzRuns } from "../lab/fuzz-runs.ts";

const HERE = import.meta.dirname;
const GUEST = join(HERE, "..", "..", "images", "guest");
const SANITIZERS = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"];
const FLAGS = ["-std=c11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", "-g", "-O1", ...SANITIZERS, `-I${GUEST}`, `-I${HERE}`];
const FUZZ_INPUTS = 20_000;
/** Two targets share what time there is. */
const FUZZ_MS = fuzzMs(10_000) / 2;

let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "guest-c-"));
});

afterAll(() => {
  rmSync(folder, { recursive: true });
});

/** Compiles test files with the guest's own sources but for those that the test stands in for. */
function compile(tests: readonly string[], without: readonly string[]): string {
  const program = join(folder, basename(tests[0] ?? "", ".c"));
  const sources = readdirSync(GUEST).filter((name) => name.endsWith(".c") && ![...without, "main.c", "fault.c"].includes(name));
  execFileSync("cc", [
    ...FLAGS,
    ...[...tests, "ends.c"].map((name) => join(HERE, name)),
    ...sources.map((name) => join(GUEST, name)),
    "-o",
    program,
  ]);
  return program;
}

/** Feeds a target its inputs, and sees that it took them. */
async function fuzz(program: string): Promise<void> {
  const { stdout } = await promisify(execFile)(program, [String(fuzzRuns(FUZZ_INPUTS)), String(Math.ceil(FUZZ_MS / 1000))]);
  const [, inputs = ""] = /^(\d{3,}) inputs\n$/.exec(stdout) ?? [];
  expect(inputs, stdout).not.toBe("");
  countInputs(Number(inputs));
}

test("frames, credit, requests, archives in and out, and the PATH search hold what they promise", { timeout: 30_000 }, () => {
  const program = compile(["unit.c", "unit-wire.c", "unit-tar.c", "archive.c", "ground.c"], []);
  const said = execFileSync(program, { encoding: "utf8" });
  expect(said.split("\n").filter((line) => line.startsWith("ok ")).length).toBe(33);
});

test("no bytes from the host make the session read or write where it must not", { timeout: 30_000 + 2 * FUZZ_MS }, async () => {
  const standIns = ["command.c", "operation.c", "output.c", "quiesce.c", "session.c", "sweep.c", "mark.c", "spawn.c", "place.c", "walk.c"];
  const program = compile(["fuzz-session.c", "fuzz-driver.c"], standIns);
  await fuzz(program);
});

test("no bytes as an archive leave the directory or reach memory that is not theirs", { timeout: 30_000 + 2 * FUZZ_MS }, async () => {
  const program = compile(["fuzz-untar.c", "fuzz-driver.c", "archive.c", "ground.c"], []);
  await fuzz(program);
});
