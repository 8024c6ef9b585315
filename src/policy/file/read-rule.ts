import { isIP } from "node:net";
import { type Entry, noteKey, noteMissing, type Reading, readEntries } from "./entries.ts";
import { note } from "./fault.ts";
import { DENIAL_KEYS, MAX_COUNT, MAX_PORT, METHOD, RULE_KEYS } from "./keys.ts";
import type { FileRule } from "./task-file.ts";
import { type Form, given, readFlag, readList, readSize, readText, readWhole, readWord } from "./values.ts";

/** One item of `egress`. */
export function readRule(reading: Reading, entry: Entry): FileRule {
  const keys = readEntries(reading, entry, { known: RULE_KEYS });
  const host = keys.get("host");
  if (host === undefined && entry.value.kind === "map")
    noteMissing(reading, entry, { key: "host", hint: "Write { host: NAME } in each rule." });
  const text = (one: Entry): string => readText(reading, one);
  const flag = (one: Entry | undefined): boolean => one !== undefined && readFlag(reading, one);
  const count = (one: Entry): number => readWhole(reading, one, MAX_COUNT);
  const deny = flag(keys.get("deny"));
  if (deny) noteVoid(reading, keys);
  noteLoneBurst(reading, entry, keys);
  return {
    host: host === undefined ? "" : text(host),
    deny,
    ports: readPorts(reading, { port: keys.get("port"), ports: keys.get("ports"), usual: deny ? [] : DEFAULT_PORTS }),
    ...given(keys.get("address"), (one) => ({ address: readWord(reading, one, ADDRESS) })),
    private: flag(keys.get("private")),
    ...given(keys.get("methods"), (one) => ({ methods: readList(reading, one, (item) => readWord(reading, item, METHOD_FORM)) })),
    ...given(keys.get("paths"), (one) => ({ paths: readList(reading, one, text) })),
    ...given(keys.get("rate"), (one) => ({ rate: text(one) })),
    ...given(keys.get("burst"), (one) => ({ burst: count(one) })),
    ...given(keys.get("maxBytes"), (one) => ({ maxBytes: readSize(reading, one) })),
    ...given(keys.get("maxConnections"), (one) => ({ maxConnections: count(one) })),
    ...given(keys.get("upgrade"), (one) => ({ upgrade: readUpgrades(reading, one) })),
    ...given(keys.get("ca"), (one) => ({ ca: text(one) })),
    where: reading.where(entry.offset),
  };
}

type RuleKeys = ReadonlyMap<keyof typeof RULE_KEYS, Entry>;

/** What is denied is denied whole: a condition beside it would read as a limit, and be none. */
function noteVoid(reading: Reading, keys: RuleKeys): void {
  const denial = keys.get("deny")?.offset ?? 0;
  for (const [key, one] of keys) {
    if (DENIAL_KEYS.includes(key)) continue;
    const hint = "Leave the key out, or leave out deny: what a rule does not allow is denied without one.";
    note(reading.faults, {
      offset: one.offset,
      known: Math.max(one.offset, denial),
      sentence: `key ${one.path}: it has no effect in a rule that denies`,
      hint,
    });
  }
}

function noteLoneBurst(reading: Reading, { value }: Entry, keys: RuleKeys): void {
  const burst = keys.get("burst");
  if (burst === undefined || keys.has("rate")) return;
  const sentence = `key ${burst.path}: it has no effect, since there is no rate`;
  note(reading.faults, { offset: burst.offset, known: value.end, sentence, hint: "Write a rate beside it, such as rate: 30/m." });
}

const DEFAULT_PORTS = [443, 80];
const ADDRESS: Form = {
  fits: (text) => isIP(text) !== 0 && !text.includes("%"),
  name: "an IP address",
  hint: "Write an address such as 10.0.0.5 or fd00::5.",
};
const METHOD_FORM: Form = {
  fits: (text) => METHOD.test(text),
  name: "an HTTP method in upper case",
  hint: "Write methods such as GET.",
};
const UPGRADE: Form = {
  fits: (text) => text === "websocket",
  name: "a protocol that a connection may change to",
  hint: "Write websocket.",
};

type PortEntries = { readonly port: Entry | undefined; readonly ports: Entry | undefined; readonly usual: readonly number[] };

function readPorts(reading: Reading, { port, ports, usual }: PortEntries): readonly number[] {
  if (port !== undefined && ports !== undefined) {
    const later = port.offset > ports.offset ? port : ports;
    noteKey(reading, later, { wrong: "stands beside its twin, so one of port and ports is too many", hint: "Keep one of them." });
  }
  if (port !== undefined) return [readWhole(reading, port, MAX_PORT)];
  return ports === undefined ? usual : readList(reading, ports, (item) => readWhole(reading, item, MAX_PORT));
}

/** One word or a list of words. */
function readUpgrades(reading: Reading, entry: Entry): readonly "websocket"[] {
  const readOne = (item: Entry): "websocket" => {
    readWord(reading, item, UPGRADE);
    return "websocket";
  };
  return entry.value.kind === "scalar" ? [readOne(entry)] : readList(reading, entry, readOne);
}
