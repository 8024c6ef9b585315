import { SandboxError } from "../core/errors.ts";
import { parseAllow, type RuleSpec, type SecretRequest } from "./egress-spec.ts";
import type { Task } from "./task.ts";

/**
 * What is left of `egress` when no more than `allow` (as `--allow` takes it) may leave: every rule keeps what restricts it, and a secret the hosts that can
 * still be reached. Throws `BAD_RULE` for what `egress` does not allow by itself.
 */
export function narrowEgress(egress: Task["egress"], allow: readonly string[]): Pick<Task["egress"], "rules" | "secrets"> {
  const wanted = allow.flatMap(parseAllow);
  const allowed = wanted.flatMap((rule) => narrowRule(egress.rules, rule));
  if (allowed.length === 0) return { rules: [], secrets: [] };
  const rules = [...egress.rules.filter(({ deny }) => deny), ...allowed];
  return { rules, secrets: egress.secrets.flatMap((secret) => narrowSecret(secret, allowed)) };
}

function narrowRule(rules: readonly RuleSpec[], wanted: RuleSpec): readonly RuleSpec[] {
  const wider = rules.filter((rule) => !rule.deny && covers(rule.host, wanted.host) && hasAddressOf(rule, wanted));
  const lacking = wanted.ports.find((port) => !wider.some(({ ports }) => ports.includes(port)));
  if (wider.length === 0 || lacking !== undefined) throw tooWide(wanted, wider.length === 0 ? undefined : lacking);
  return wider
    .map((rule) => ({ ...rule, text: wanted.text, host: wanted.host, ports: rule.ports.filter((port) => wanted.ports.includes(port)) }))
    .filter(({ ports }) => ports.length > 0);
}

function tooWide({ text, host }: RuleSpec, port: number | undefined): SandboxError {
  const what = port === undefined ? "it" : `port ${port} of it`;
  const hint =
    port === undefined ? `Leave it out, or allow it for all with --allow ${host}.` : `Name the ports that are allowed: ${host}:PORT.`;
  return new SandboxError("BAD_RULE", `allow ${JSON.stringify(text)} is more than the flags allow: no rule of theirs has ${what}.`, hint);
}

/** A rule may stand for a fixed address without naming it again; it may not name another one. */
function hasAddressOf(rule: RuleSpec, { address }: RuleSpec): boolean {
  return address === undefined || (address.ip === rule.address?.ip && address.port === rule.address.port);
}

function narrowSecret(secret: SecretRequest, rules: readonly RuleSpec[]): readonly SecretRequest[] {
  const hosts = secret.hosts.filter((host) => rules.some((rule) => covers(rule.host, host) || covers(host, rule.host)));
  return hosts.length === 0 ? [] : [{ ...secret, hosts }];
}

const PATTERN = /^(?:(\*{1,2})\.)?([a-z0-9_-]+(?:\.[a-z0-9_-]+)*)$/;

/** Whether every name that `narrow` means is one that `wide` means: `*.x.com` is one label more, `**.x.com` any number. In doubt it is not. */
function covers(wide: string, narrow: string): boolean {
  const [one, other] = [normalise(wide), normalise(narrow)];
  if (one === other) return true;
  const [, stars = "", suffix = ""] = PATTERN.exec(one) ?? [];
  const [, ownStars = "", ownSuffix = ""] = PATTERN.exec(other) ?? [];
  if (stars === "" || suffix === "" || ownSuffix === "") return false;
  if (stars === "**") return ownSuffix.endsWith(`.${suffix}`) || (ownSuffix === suffix && ownStars === "*");
  return ownStars === "" && ownSuffix.endsWith(`.${suffix}`) && !ownSuffix.slice(0, -suffix.length - 1).includes(".");
}

function normalise(host: string): string {
  return host.toLowerCase().replace(/\.$/, "");
}
