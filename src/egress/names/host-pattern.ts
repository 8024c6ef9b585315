import { SandboxError } from "../../core/errors.ts";
import { quoteText } from "../quote-text.ts";
import { judgeHostName } from "./host-name.ts";

/** Which names a rule means. `suffix` is a canonical name; the pattern is frozen. */
export interface HostPattern {
  /** The canonical spelling, which parses to an equal pattern. */
  readonly text: string;
  readonly kind: "exact" | "one-label" | "any-depth";
  readonly suffix: string;
}

/**
 * `x.com` means this name alone, `*.x.com` each name with exactly one label more, `**.x.com` each name with one or more; a wildcard never
 * means `x.com` itself. Throws `BAD_RULE` for a wildcard anywhere else and for one under a public suffix, private ones such as `github.io`
 * included (publicsuffix.org): everybody can have a name there. Throws it for addresses, and for `localhost` (RFC 6761 6.3), which would
 * mean this machine.
 */
export async function parseHostPattern(text: string): Promise<HostPattern> {
  const { kind, rest } = splitWildcard(text);
  const judged = judgeHostName(rest);
  if ("refused" in judged) throw judged.isAddress ? addressRule(text) : badRule(text, judged.refused, NAME_HINT);
  const suffix = judged.name;
  if (suffix === "localhost" || suffix.endsWith(".localhost"))
    throw badRule(text, "means this machine", "Give the service a name and its address: name=127.0.0.1:PORT.");
  if (kind === "exact") return Object.freeze({ text: suffix, kind, suffix });
  await assertOwned(text, suffix);
  return Object.freeze({ text: `${kind === "one-label" ? "*" : "**"}.${suffix}`, kind, suffix });
}

/** Whether the pattern means the name, which has to be canonical (`parseHostName`). */
export function isHostMatch(pattern: HostPattern, name: string): boolean {
  if (pattern.kind === "exact") return name === pattern.suffix;
  const dotted = `.${pattern.suffix}`;
  if (!name.endsWith(dotted)) return false;
  const more = name.slice(0, -dotted.length);
  return more !== "" && (pattern.kind === "any-depth" || !more.includes("."));
}

const NAME_HINT = "Write a name such as api.example.com, *.example.com for one label more, or **.example.com for any depth.";

function splitWildcard(text: string): { readonly kind: HostPattern["kind"]; readonly rest: string } {
  const rest = text.replace(/^\*{1,2}\./, "");
  if (rest === "*" || rest === "**" || (rest === "" && text !== ""))
    throw badRule(text, "would mean every name", "Name the hosts that the task needs, such as api.example.com or *.example.com.");
  if (rest.includes("*")) throw badRule(text, "has a wildcard that is not the whole first label", NAME_HINT);
  if (rest === text) return { kind: "exact", rest };
  return { kind: text.startsWith("**") ? "any-depth" : "one-label", rest };
}

/** The list is large, so only a rule with a wildcard loads it. */
async function assertOwned(text: string, suffix: string): Promise<void> {
  const hint = "Write a longer name, such as one that an organisation has registered: *.example.com.";
  if (!suffix.includes(".")) throw badRule(text, "would mean every name of a whole top-level domain", hint);
  const { getPublicSuffix } = await import("tldts");
  if (getPublicSuffix(suffix, { allowPrivateDomains: true }) !== suffix) return;
  throw badRule(text, `would mean names of anybody, for ${suffix} is a public suffix`, hint);
}

function addressRule(text: string): SandboxError {
  return badRule(text, "is an address", "Give the service a name of your own and its address: name=ADDR:PORT.");
}

function badRule(text: string, why: string, hint: string): SandboxError {
  return new SandboxError("BAD_RULE", `The rule ${quoteText(text)} ${why}.`, hint);
}
