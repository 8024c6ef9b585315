/** What a value may be: how that is said after "where" and before "belongs", and what is wrong with another one (`undefined` for none). */
export type Kind = { readonly name: string; readonly wrong: (value: unknown) => string | undefined; readonly needed?: true };

/** The same for an option that can't be left out. */
export function needed(kind: Kind): Kind {
  return { ...kind, needed: true };
}

export const TEXT = kind("a text", (value) => typeof value === "string");
export const FLAG = kind("true or false", (value) => typeof value === "boolean");
export const NUMBER = kind("a number", (value) => typeof value === "number");
export const FUNCTION = kind("a function", (value) => typeof value === "function");
export const SIGNAL = kind("an AbortSignal", (value) => isObject(value) && "aborted" in value && has(value, "addEventListener"));
export const ENGINE = kind("an engine from openEngine", (value) => has(value, "newRun") && has(value, "create"));
export const TEXTS = listOf(TEXT, "a list of texts");

/** What a command can read, or a list of tasks can be. */
export const CONTENT = kind(
  "a text, bytes, or a stream of them",
  (value) => typeof value === "string" || value instanceof Uint8Array || has(value, Symbol.asyncIterator),
);
export const TASKS = kind(
  "a path, or tasks that can be iterated",
  (value) => typeof value === "string" || has(value, Symbol.iterator) || has(value, Symbol.asyncIterator),
);

/** Texts by name. */
export const NAMED_TEXTS: Kind = {
  name: "an object of texts",
  wrong: (value) => {
    if (!isObject(value)) return describe(value);
    const [name, other] = Object.entries(value).find(([, each]) => typeof each !== "string") ?? [];
    return name === undefined ? undefined : `an object in which ${JSON.stringify(name.slice(0, 60))} is ${describe(other)}`;
  },
};

/** A whole number of a range. */
export function whole(least: number, most: number): Kind {
  return kind(
    `a whole number from ${least} to ${most}`,
    (value) => Number.isInteger(value) && Number(value) >= least && Number(value) <= most,
  );
}

/** One of some words. */
export function oneOf(...words: readonly string[]): Kind {
  return kind(`one of ${words.map((word) => JSON.stringify(word)).join(", ")}`, (value) => words.some((word) => word === value));
}

/** One of several kinds. */
export function either(name: string, ...kinds: readonly Kind[]): Kind {
  return {
    name,
    wrong: (value) => {
      const faults = kinds.map(({ wrong }) => wrong(value));
      return faults.includes(undefined) ? undefined : faults.at(-1);
    },
  };
}

export function listOf(item: Kind, name: string): Kind {
  return {
    name,
    wrong: (value) => {
      if (!Array.isArray(value)) return describe(value);
      const items: readonly unknown[] = value;
      const at = items.findIndex((each) => item.wrong(each) !== undefined);
      return at === -1 ? undefined : `a list in which [${at}] is ${item.wrong(items[at]) ?? ""}`;
    },
  };
}

/** An object with these keys and no other. */
export function objectOf(name: string, keys: Readonly<Record<string, Kind>>): Kind {
  return {
    name,
    wrong: (value) => {
      if (!isObject(value)) return describe(value);
      const other = Object.keys(value).find((key) => !Object.hasOwn(keys, key));
      if (other !== undefined)
        return `an object with ${JSON.stringify(other.slice(0, 60))}, which is none of its keys (${Object.keys(keys).join(", ")})`;
      for (const [key, each] of Object.entries(keys)) {
        const held: unknown = Reflect.get(value, key);
        if (held === undefined && each.needed !== true) continue;
        const wrong = held === undefined ? "missing" : each.wrong(held);
        if (wrong !== undefined) return `an object in which ${key} is ${wrong}`;
      }
      return undefined;
    },
  };
}

function kind(name: string, fits: (value: unknown) => boolean): Kind {
  return { name, wrong: (value) => (fits(value) ? undefined : describe(value)) };
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function has(value: unknown, key: PropertyKey): boolean {
  return typeof value === "object" && value !== null && typeof Reflect.get(value, key) === "function";
}

/** What a value is, for a sentence. A text is not repeated: it may be a secret that stands in the wrong place. */
function describe(value: unknown): string {
  if (value === null) return "null";
  if (Array.isArray(value)) return "a list";
  if (typeof value === "string") return "a text";
  if (typeof value === "number" || typeof value === "bigint") return `the number ${value}`;
  if (typeof value === "boolean") return String(value);
  return typeof value === "object" ? "an object" : `a ${typeof value}`;
}
