import { type Entry, noteKey, noteMissing, type Reading, readEntries } from "./entries.ts";
import { HEADER, SECRET_KEYS, SECRET_NAME } from "./keys.ts";
import type { FileSecret, SecretPlace } from "./task-file.ts";
import { type Form, given, readList, readText, readWord } from "./values.ts";

/** One entry of `secrets`. */
export function readSecret(reading: Reading, entry: Entry): FileSecret {
  if (!SECRET_NAME.test(entry.name))
    noteKey(reading, entry, { wrong: "is not a name of an environment variable", hint: "Write letters, digits and underscores." });
  const keys = readEntries(reading, entry, { known: SECRET_KEYS });
  const [from, hosts, places] = [keys.get("from"), keys.get("hosts"), keys.get("in")];
  const isMap = entry.value.kind === "map";
  if (isMap && from === undefined)
    noteMissing(reading, entry, { key: "from", hint: "Say where the value comes from, such as from: env:NAME." });
  if (isMap && hosts === undefined) noteMissing(reading, entry, { key: "hosts", hint: "Name the hosts that may get it: hosts: [NAME]." });
  return {
    name: entry.name,
    from: from === undefined ? "" : readText(reading, from),
    hosts: hosts === undefined ? [] : readList(reading, hosts, (item) => readText(reading, item)),
    ...given(keys.get("header"), (one) => ({ header: readWord(reading, one, HEADER_FORM) })),
    in: places === undefined ? ["header"] : readList(reading, places, (item) => readPlace(reading, item)),
    where: reading.where(entry.offset),
  };
}

const HEADER_FORM: Form = {
  fits: (text) => HEADER.test(text),
  name: "the name of a header",
  hint: "Write a name such as Authorization.",
};
const PLACE: Form = {
  fits: (text) => text === "header" || text === "body",
  name: "a part of a request",
  hint: "Write header or body.",
};

function readPlace(reading: Reading, entry: Entry): SecretPlace {
  return readWord(reading, entry, PLACE) === "body" ? "body" : "header";
}
