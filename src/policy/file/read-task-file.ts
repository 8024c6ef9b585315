import { SandboxError } from "../../core/errors.ts";
import { type Entry, noteMissing, noteWrong, type Reading, readEntries, readPairs } from "./entries.ts";
import { at, type Faults } from "./fault.ts";
import { judgeText } from "./judge-text.ts";
import { FILE_KEYS, LATER_KEYS, NUMERIC, SANDBOX_KEYS } from "./keys.ts";
import { parseYaml } from "./parse-yaml.ts";
import { readRule } from "./read-rule.ts";
import { readSecret } from "./read-secret.ts";
import type { SandboxField, SandboxKey, TaskFile } from "./task-file.ts";
import { readItems, readSpelling, readText } from "./values.ts";

/** In bytes of UTF-8. */
export const MAX_TASK_FILE = 1024 * 1024;

/**
 * Reads a task file: one document of YAML 1.2 in the core schema, without anchors, aliases, tags and merge keys, in which every key is
 * known. `path` is for sentences only. Throws `BAD_TASK_FILE` with the first fault in file order as `FILE:LINE:COLUMN: key …: …`; what
 * hosts, paths, rates and sources of secrets mean is not judged here.
 */
export function readTaskFile(text: string, path: string): TaskFile {
  if (Buffer.byteLength(text) > MAX_TASK_FILE)
    throw at(path, { line: 1, column: 1 }, badFile("the file is larger than 1 MiB", "Write what the task needs and no more."));
  const faults: Faults = { first: undefined };
  judgeText(text, faults);
  const { root, where } = parseYaml(text, faults);
  const file = root === undefined ? undefined : readFile({ faults, where }, { path: "", name: "", offset: root.offset, value: root });
  if (faults.first === undefined && file !== undefined) return file;
  const { offset, sentence, hint } = faults.first ?? { offset: 0, sentence: "the file is empty", hint: "Write version: 1 at least." };
  throw at(path, where(offset), badFile(sentence, hint));
}

function badFile(sentence: string, hint: string): SandboxError {
  return new SandboxError("BAD_TASK_FILE", `${sentence}.`, hint);
}

function readFile(reading: Reading, entry: Entry): TaskFile {
  const keys = readEntries(reading, entry, { known: FILE_KEYS, later: LATER_KEYS });
  const [version, sandbox, egress, secrets] = [keys.get("version"), keys.get("sandbox"), keys.get("egress"), keys.get("secrets")];
  if (version !== undefined) judgeVersion(reading, version);
  else if (entry.value.kind === "map") noteMissing(reading, entry, { key: "version", hint: "Write version: 1 at the top." });
  return {
    version: 1,
    sandbox: sandbox === undefined ? {} : readSandbox(reading, sandbox),
    egress: egress === undefined ? [] : readItems(reading, egress).map((item) => readRule(reading, item)),
    secrets: secrets === undefined ? [] : readPairs(reading, secrets).map((pair) => readSecret(reading, pair)),
  };
}

function judgeVersion(reading: Reading, entry: Entry): void {
  const { value } = entry;
  if (value.kind === "scalar" && value.value === 1 && value.source === "1") return;
  noteWrong(reading, entry, { wrong: "this version of the format is not known", hint: "Write version: 1." });
}

function readSandbox(reading: Reading, entry: Entry): TaskFile["sandbox"] {
  const fields: { [key in SandboxKey]?: SandboxField } = {};
  for (const [key, one] of readEntries(reading, entry, { known: SANDBOX_KEYS })) {
    const text = NUMERIC.includes(key) ? readSpelling(reading, one) : readText(reading, one);
    fields[key] = { text, where: reading.where(one.value.offset) };
  }
  return fields;
}
