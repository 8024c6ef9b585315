import { SandboxError } from "../core/errors.ts";
import type { RuleSpec } from "../policy/egress-spec.ts";
import { type ByteBudget, createByteBudget } from "./accounts/byte-budget.ts";
import { createRateLimit, parseRate, type RateLimit } from "./accounts/rate-limit.ts";
import { type PathPattern, parsePathPattern } from "./http/request-path.ts";
import { type HostPattern, isHostMatch, parseHostPattern } from "./names/host-pattern.ts";

/** A rule ready to judge with, and what of its budgets is used in this run. */
export type Rule = Omit<RuleSpec, "host" | "methods" | "paths" | "rate" | "burst" | "maxBytes" | "maxConnections"> & {
  readonly pattern: HostPattern;
  readonly methods: ReadonlySet<string> | undefined;
  readonly paths: readonly PathPattern[] | undefined;
  readonly rate: RateLimit | undefined;
  readonly bytes: ByteBudget;
  readonly connections: ByteBudget;
};

/** Compiles rules; the first one that can't be meant is refused. Throws `BAD_RULE` and `BAD_RATE`. */
export async function compileRules(specs: readonly RuleSpec[], now: () => number): Promise<readonly Rule[]> {
  return Promise.all(specs.map((spec) => compileRule(spec, now)));
}

/** The sentence of an error begins with the rule's place where it is not the rule itself. */
async function compileRule(spec: RuleSpec, now: () => number): Promise<Rule> {
  try {
    return await compile(spec, now);
  } catch (error) {
    if (!(error instanceof SandboxError) || error.message.includes(spec.text)) throw error;
    throw new SandboxError(error.code, `${spec.text}: ${error.message}`, error.hint, { cause: error });
  }
}

async function compile(spec: RuleSpec, now: () => number): Promise<Rule> {
  const { host, methods, paths, rate, burst, maxBytes, maxConnections, ...rest } = spec;
  return {
    ...rest,
    pattern: await parseHostPattern(host),
    methods: methods === undefined ? undefined : new Set(methods),
    paths: paths?.map(parsePathPattern),
    rate: rate === undefined ? undefined : createRateLimit(parseRate(rate, burst), now),
    bytes: createByteBudget(maxBytes),
    connections: createByteBudget(maxConnections),
  };
}

/** Whether a rule says something about requests, which takes a look inside of TLS. */
export function needsInside({ methods, paths, rate, upgrade }: Rule): boolean {
  return methods !== undefined || paths !== undefined || rate !== undefined || upgrade.length > 0;
}

export type NameVerdict =
  | { readonly kind: "allowed"; readonly ports: readonly number[] }
  | { readonly kind: "denied"; readonly rule: string | undefined };

/** Whether a name may be known at all, and for which ports. Nothing is looked up for this. */
export function decideName(rules: readonly Rule[], name: string): NameVerdict {
  const matching = rules.filter(({ pattern }) => isHostMatch(pattern, name));
  const denying = matching.filter(({ deny }) => deny);
  const wanted = new Set(matching.filter(({ deny }) => !deny).flatMap((rule) => rule.ports));
  const ports = [...wanted].filter((port) => !denying.some((rule) => covers(rule, port)));
  if (ports.length > 0) return { kind: "allowed", ports };
  return { kind: "denied", rule: denying[0]?.text };
}

/** The rules that allow connections to a port of a name; none when one denies it. */
export function rulesFor(rules: readonly Rule[], { name, port }: { readonly name: string; readonly port: number }): readonly Rule[] {
  const matching = rules.filter((rule) => covers(rule, port) && isHostMatch(rule.pattern, name));
  return matching.some(({ deny }) => deny) ? [] : matching;
}

/** One that denies without a port denies them all. */
function covers({ deny, ports }: Rule, port: number): boolean {
  return ports.includes(port) || (deny && ports.length === 0);
}
