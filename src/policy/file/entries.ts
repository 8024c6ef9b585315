import { nearest } from "../../core/nearest.ts";
import { type Faults, note, quote } from "./fault.ts";
import type { Value } from "./parse-yaml.ts";
import type { Where } from "./task-file.ts";

export type Reading = { readonly faults: Faults; readonly where: (offset: number) => Where };

/** One value and how it is called: `egress[0].host` as a whole, `host` in its map, and where that word stands. */
export type Entry = { readonly path: string; readonly name: string; readonly offset: number; readonly value: Value };

/** The keys of one kind of map, and words that are refused with a reason of their own. */
export type Keys<K extends string> = { readonly known: Readonly<Record<K, unknown>>; readonly later?: readonly string[] };

/** The entries of a map by key, in file order. Notes every key that is not known, and a key that stands twice. */
export function readEntries<K extends string>(reading: Reading, entry: Entry, keys: Keys<K>): ReadonlyMap<K, Entry> {
  const entries = new Map<K, Entry>();
  for (const one of readPairs(reading, entry)) {
    if (isKey(keys.known, one.name)) entries.set(one.name, one);
    else noteUnknown(reading, one, keys);
  }
  return entries;
}

/** The entries of a map whose keys are names of the user's own, in file order. Notes a key that is no text, and one that stands twice. */
export function readPairs(reading: Reading, entry: Entry): readonly Entry[] {
  if (entry.value.kind !== "map") {
    noteWrong(reading, entry, {
      wrong: `${describe(entry.value)} stands where keys belong`,
      hint: "Write KEY: VALUE lines, or { KEY: VALUE }.",
    });
    return [];
  }
  const entries = new Map<string, Entry>();
  for (const { key, value } of entry.value.pairs) {
    if (key.kind === "scalar" && typeof key.value === "string") {
      const one = { path: join(entry.path, key.value), name: key.value, offset: key.offset, value };
      if (entries.has(one.name)) noteKey(reading, one, { wrong: "stands twice in one map", hint: "Keep one of them." });
      else entries.set(one.name, one);
    } else {
      const wrong = `${describe(key)} stands where a key belongs`;
      noteWrong(reading, { ...entry, value: key }, { wrong, hint: "Write a word as the key, or quote it." });
    }
  }
  return [...entries.values()];
}

/** Notes that a map has no such key, at the map's beginning. */
export function noteMissing(reading: Reading, entry: Entry, missing: { readonly key: string; readonly hint: string }): void {
  const { offset, end } = entry.value;
  note(reading.faults, { offset, known: end, sentence: `key ${join(entry.path, missing.key)}: it is missing`, hint: missing.hint });
}

/** Notes what is wrong with an entry, at its value. */
export function noteWrong(reading: Reading, entry: Entry, { wrong, hint }: { readonly wrong: string; readonly hint: string }): void {
  const subject = entry.path === "" ? "" : `key ${entry.path}: `;
  note(reading.faults, { offset: entry.value.offset, sentence: `${subject}${wrong}`, hint });
}

/** Notes what is wrong with an entry's key, at the key. */
export function noteKey(reading: Reading, entry: Entry, { wrong, hint }: { readonly wrong: string; readonly hint: string }): void {
  note(reading.faults, { offset: entry.offset, sentence: `key ${entry.path}: it ${wrong}`, hint });
}

/** What a value is, for a sentence. */
export function describe(value: Value): string {
  if (value.kind === "list") return "a list";
  if (value.kind === "map") return "a map";
  if (typeof value.value === "string") return quote(value.value);
  if (value.value === null) return "nothing";
  return `the ${typeof value.value === "number" ? "number" : "word"} ${value.source.slice(0, 60)}`;
}

function noteUnknown<K extends string>(reading: Reading, entry: Entry, { known, later }: Keys<K>): void {
  if (later?.includes(entry.name) === true)
    noteKey(reading, entry, { wrong: "is a key that this version does not read", hint: "Leave it out: it would have no effect." });
  else if (entry.name === "<<") noteKey(reading, entry, { wrong: "is a merge key, which is not taken", hint: "Write the keys out." });
  else {
    const names = Object.keys(known);
    const near = nearest(entry.name, names);
    const hint = near === undefined ? `Choose one of: ${names.join(", ")}.` : `Write ${near}, or leave it out.`;
    noteKey(reading, entry, { wrong: "is not a key that may stand here", hint });
  }
}

function isKey<K extends string>(known: Readonly<Record<K, unknown>>, name: string): name is K {
  return Object.hasOwn(known, name);
}

/** Names are shown as they are where they look like one, and quoted where they could look like something else. */
function join(path: string, name: string): string {
  const shown = /^[\w<-]{1,60}$/.test(name) ? name : quote(name);
  return path === "" ? shown : `${path}.${shown}`;
}
