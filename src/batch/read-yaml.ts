import { type Faults, note } from "../policy/file/fault.ts";
import { judgeText } from "../policy/file/judge-text.ts";
import { parseYaml, type Value } from "../policy/file/parse-yaml.ts";
import { badBatch } from "./bad-batch.ts";
import { decodeUtf8, NOT_UTF8 } from "./read-lines.ts";
import type { TaskBytes, TaskItem } from "./task-item.ts";

/** A YAML document is read as a whole: past this many bytes, JSON Lines do. */
export const LARGEST_YAML = 4 * 1024 * 1024;

/** The items of a list that is one YAML document, without anchors, tags and doubled keys. Throws `BAD_BATCH`. */
export async function* readYaml({ bytes, source }: TaskBytes): AsyncGenerator<TaskItem> {
  const text = await readText({ bytes, source });
  const faults: Faults = { first: undefined };
  judgeText(text, faults);
  const { root, where } = parseYaml(text, faults);
  const values = root === undefined ? [] : itemsOf(root, faults);
  if (faults.first !== undefined) {
    const { offset, sentence, hint } = faults.first;
    throw badBatch({ source, line: where(offset).line }, { sentence, hint });
  }
  for (const { offset, value } of values) yield { line: where(offset).line, value };
}

async function readText({ bytes, source }: TaskBytes): Promise<string> {
  const pieces: Buffer[] = [];
  let size = 0;
  for await (const piece of bytes) {
    size += piece.length;
    if (size > LARGEST_YAML)
      throw badBatch(
        { source, line: 1 },
        { sentence: "a YAML list may have 4 MiB, and this has more", hint: "Write JSON Lines (.jsonl): they may be endless." },
      );
    pieces.push(piece);
  }
  const text = decodeUtf8(Buffer.concat(pieces));
  if (text === undefined) throw badBatch({ source, line: 1 }, NOT_UTF8);
  return text;
}

type Plain = { readonly offset: number; readonly value: unknown };

function itemsOf(root: Value, faults: Faults): readonly Plain[] {
  if (root.kind === "list") return root.items.map((item) => ({ offset: item.offset, value: plainOf(item, faults) }));
  note(faults, {
    offset: root.offset,
    sentence: "the document is not a list",
    hint: 'Write each task behind a dash: - { id: a, command: ["true"] }.',
  });
  return [];
}

/** The value as JSON would have it; a key that stands twice, or is no text, is noted. */
function plainOf(value: Value, faults: Faults): unknown {
  if (value.kind === "scalar") return value.value;
  if (value.kind === "list") return value.items.map((item) => plainOf(item, faults));
  const members = new Map<string, unknown>();
  for (const { key, value: member } of value.pairs) {
    const name = key.kind === "scalar" && typeof key.value === "string" ? key.value : undefined;
    if (name === undefined)
      note(faults, { offset: key.offset, sentence: "this stands where a key belongs", hint: "Write a word as the key, or quote it." });
    else if (members.has(name))
      note(faults, { offset: key.offset, sentence: `the key ${JSON.stringify(name)} stands twice in one map`, hint: "Keep one of them." });
    else members.set(name, plainOf(member, faults));
  }
  return Object.fromEntries(members);
}
