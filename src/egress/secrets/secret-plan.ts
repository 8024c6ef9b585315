import { SandboxError } from "../../core/errors.ts";
import type { SecretRequest } from "../../policy/egress-spec.ts";
import { isHostMatch, parseHostPattern } from "../names/host-pattern.ts";
import { decideName, type Rule } from "../rule.ts";
import { createSecrets, type Secrets } from "./secret.ts";
import type { HostMatch, SecretSpec } from "./secret-spec.ts";
import type { SecretSources } from "./secret-values.ts";

/** Prepares a run's secrets; no value is read yet. Throws `BAD_SECRET` and `BAD_RULE`. */
export async function planSecrets(requests: readonly SecretRequest[], rules: readonly Rule[], sources: SecretSources): Promise<Secrets> {
  const specs = await Promise.all(requests.map((request) => specOf(request, rules)));
  return createSecrets(specs, sources);
}

async function specOf({ hosts, ...rest }: SecretRequest, rules: readonly Rule[]): Promise<SecretSpec> {
  return { ...rest, hosts: await Promise.all(hosts.map((host) => hostMatch(rest.name, host, rules))) };
}

/** A secret for a host that nothing may be sent to is a mistake in one of the two. */
async function hostMatch(secret: string, text: string, rules: readonly Rule[]): Promise<HostMatch> {
  const pattern = await parseHostPattern(text);
  const reachable = pattern.kind === "exact" ? decideName(rules, pattern.suffix).kind === "allowed" : true;
  if (!reachable)
    throw new SandboxError("BAD_SECRET", `The secret ${secret} is for ${text}, which no rule allows.`, `Allow it too: --allow ${text}.`);
  return { text, matches: (name) => isHostMatch(pattern, name) };
}
