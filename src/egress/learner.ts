import type { LearnedRule } from "../policy/file/write-task-file.ts";
import type { Rule } from "./rule.ts";

/** A host and port, and the rule that allowed them. */
type Visit = { readonly host: string; readonly port: number; readonly rule: Pick<Rule, "address" | "allowPrivate"> };
type Seen = Visit & { readonly methods: Set<string>; readonly paths: Set<string> };

export type Learner = {
  /** A connection whose bytes nobody looked into. */
  connection(visit: Visit): void;
  request(visit: Visit, request: { readonly method: string; readonly path: string }): void;
  rules(): readonly LearnedRule[];
};

/** More paths than a person reads in one rule. */
const MOST_PATHS = 12;
const MOST_REMEMBERED = 10_000;
/** Segments that name one thing of many: numbers, hashes, UUIDs. */
const IDENTIFIER = /^(?:\d+|[0-9a-f]{8,}|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})$/i;

/** Remembers what is used, and finds the narrowest rules that cover it. */
export function createLearner(): Learner {
  const places = new Map<string, Seen>();

  function placeOf({ host, port, rule }: Visit): Seen {
    const key = `${host}:${port}`;
    const place = places.get(key) ?? { host, port, rule, methods: new Set(), paths: new Set() };
    places.set(key, place);
    return place;
  }

  return {
    connection: (visit) => void placeOf(visit),
    request(visit, { method, path }) {
      const { methods, paths } = placeOf(visit);
      methods.add(method);
      paths.add(paths.size < MOST_REMEMBERED ? path : generalise(path));
    },
    rules: () =>
      [...places.values()].map(({ host, port, rule, methods, paths }) => ({
        host,
        port,
        address: rule.address?.ip,
        allowPrivate: rule.allowPrivate,
        methods: [...methods].toSorted(),
        paths: cover([...paths]),
      })),
  };
}

/** As few patterns as a person reads: paths as they are, else with their identifiers as stars, else what they have in common. */
function cover(paths: readonly string[]): readonly string[] {
  if (paths.length <= MOST_PATHS) return paths.toSorted();
  const general = [...new Set(paths.map(generalise))];
  if (general.length <= MOST_PATHS) return general.toSorted();
  const tops = [...new Set(general.map((path) => `/${path.split("/")[1] ?? ""}/**`))];
  return tops.length <= MOST_PATHS ? tops.toSorted() : ["/**"];
}

function generalise(path: string): string {
  return path
    .split("/")
    .map((segment) => (IDENTIFIER.test(segment) ? "*" : segment))
    .join("/");
}
