import type { EgressRow } from "./accounts/ledger.ts";

/** The reasons of refusals that the caller can do something about, each with what can be done. */
export const NO_RULE = "no rule allows it";

/** Classes of addresses that `--allow-private` opens. */
export const OWN_CLASSES: ReadonlySet<string> = new Set(["private", "unique-local", "shared"]);

export function addressReason(address: string, meaning: string): string {
  return `its address ${address} is ${meaning}`;
}

/** What would have let something through: as flags of the command line, and as a rule of a task file. */
export type Remedy = { readonly flags: string; readonly rule: string };

const HOST = /^(?=.{1,253}$)[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*$/;
const ADDRESS_REASON = /^its address (\S+) is (\S+)$/;

/** The remedy for one refusal; `undefined` for what should stay refused, and for what no rule can mean. */
export function remedyFor({ host, port, rule, why }: Pick<EgressRow, "host" | "port" | "rule" | "why">): Remedy | undefined {
  if (!HOST.test(host)) return undefined;
  if (rule === null && why === NO_RULE) return { flags: `--allow ${host}`, rule: `{ host: ${host} }` };
  const [, address = "", meaning = ""] = ADDRESS_REASON.exec(why ?? "") ?? [];
  if (OWN_CLASSES.has(meaning)) return { flags: "--allow-private", rule: `{ host: ${host}, port: ${port}, private: true }` };
  if (meaning !== "loopback") return undefined;
  const written = address.includes(":") ? `[${address}]` : address;
  return { flags: `--allow ${host}=${written}:${port}`, rule: `{ host: ${host}, port: ${port}, address: "${address}" }` };
}
