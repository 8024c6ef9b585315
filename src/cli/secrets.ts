import type { SecretRequest } from "../policy/egress-spec.ts";

/** Parses the values of `--secret`; nothing is loaded where there are none. Throws `BAD_SECRET`. */
export async function readSecrets(flags: readonly string[]): Promise<readonly SecretRequest[]> {
  if (flags.length === 0) return [];
  const { parseSecretFlag } = await import("../egress/secrets/secret-flag.ts");
  return flags.map((flag) => ({ ...parseSecretFlag(flag), in: ["header"] }));
}
