import { SandboxError } from "../../core/errors.ts";
import { parseSize } from "../../core/units.ts";
import { describe, type Entry, noteWrong, type Reading } from "./entries.ts";
import { judgeWord } from "./judge-text.ts";

/** A text that is not empty. Like all readers here it answers something of the right type after it has noted a fault. */
export function readText(reading: Reading, entry: Entry): string {
  const { value } = entry;
  if (value.kind !== "scalar" || typeof value.value !== "string") {
    const quoted = value.kind === "scalar" && value.value !== null ? `Write "${value.source.slice(0, 60)}" in quotes.` : "Write a text.";
    noteWrong(reading, entry, { wrong: `${describe(value)} stands where a text belongs`, hint: quoted });
    return "";
  }
  const wrong = judgeWord(value.value);
  if (wrong !== undefined) noteWrong(reading, entry, { wrong, hint: "Write a text of one line with something in it." });
  return value.value;
}

/** What a text must be, as the end of "… is not". */
export type Form = { readonly fits: (text: string) => boolean; readonly name: string; readonly hint: string };

/** A text of a certain form. */
export function readWord(reading: Reading, entry: Entry, form: Form): string {
  const text = readText(reading, entry);
  if (!form.fits(text)) noteWrong(reading, entry, { wrong: `${describe(entry.value)} is not ${form.name}`, hint: form.hint });
  return text;
}

/** A text or a number, as it is spelled. */
export function readSpelling(reading: Reading, entry: Entry): string {
  const { value } = entry;
  return value.kind === "scalar" && typeof value.value === "number" ? value.source : readText(reading, entry);
}

export function readFlag(reading: Reading, entry: Entry): boolean {
  const { value } = entry;
  if (value.kind === "scalar" && typeof value.value === "boolean") return value.value;
  noteWrong(reading, entry, { wrong: `${describe(value)} stands where true or false belongs`, hint: "Write true or false." });
  return false;
}

/** A whole number from 1 to `most` in decimal digits: `0x1bb` and `0443` mean different numbers to different readers. */
export function readWhole(reading: Reading, entry: Entry, most: number): number {
  const { value } = entry;
  const legal = value.kind === "scalar" && typeof value.value === "number" && /^[1-9]\d{0,9}$/.test(value.source);
  if (legal && Number(value.source) <= most) return Number(value.source);
  const wrong = `${describe(value)} is not a whole number from 1 to ${most}`;
  noteWrong(reading, entry, { wrong, hint: "Write it in decimal digits, without quotes." });
  return 1;
}

/** Bytes from a size with a unit. */
export function readSize(reading: Reading, entry: Entry): number {
  const { value } = entry;
  const text = value.kind === "scalar" && (typeof value.value === "number" || typeof value.value === "string") ? value.source : undefined;
  try {
    if (text !== undefined) return parseSize(text, entry.path);
  } catch (thrown) {
    if (!(thrown instanceof SandboxError)) throw thrown;
  }
  noteWrong(reading, entry, { wrong: `${describe(value)} is not a size`, hint: "Write a number with a unit, such as 64m or 1Gi." });
  return 1;
}

/** At least one item, each with a name such as `ports[1]`. */
export function readList<T>(reading: Reading, entry: Entry, readItem: (item: Entry) => T): readonly T[] {
  const items = readItems(reading, entry);
  if (entry.value.kind === "list" && items.length === 0)
    noteWrong(reading, entry, {
      wrong: "the list is empty, so that nothing could match",
      hint: "Name at least one, or leave the key out.",
    });
  return items.map(readItem);
}

/** The items of a list, which may be empty. */
export function readItems(reading: Reading, entry: Entry): readonly Entry[] {
  const { value, path, name } = entry;
  if (value.kind === "list")
    return value.items.map((item, index) => ({ path: `${path}[${index}]`, name: `${name}[${index}]`, offset: item.offset, value: item }));
  noteWrong(reading, entry, {
    wrong: `${describe(value)} stands where a list belongs`,
    hint: "Write [ITEM, …], or lines that begin with -.",
  });
  return [];
}

/** What `build` makes of an entry that is there, to be spread. */
export function given<T extends object>(entry: Entry | undefined, build: (entry: Entry) => T): T | undefined {
  return entry === undefined ? undefined : build(entry);
}
