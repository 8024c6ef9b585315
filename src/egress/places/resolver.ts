import { promises as dns } from "node:dns";
import { readFile } from "node:fs/promises";
import { canonicalAddress } from "./address.ts";

/** Finds the addresses of a name out there; an empty list when it has none. Rejects when nobody answers. */
export type Resolve = (name: string) => Promise<readonly string[]>;

const HOSTS_FILE = "/etc/hosts";
const TRY_MS = 3_000;
const TRIES = 2;
const NOT_THERE = new Set(["ENOTFOUND", "ENODATA"]);

/**
 * Resolves as this machine does: its hosts file first, then its name servers, for IPv4 and IPv6. Node.js's `lookup` would also ask what else the
 * system is configured for, but in one of four threads that everything shares: a name whose server is silent would hold up all others.
 */
export function createResolver(): Resolve {
  const resolver = new dns.Resolver({ timeout: TRY_MS, tries: TRIES });
  let hosts: Promise<ReadonlyMap<string, readonly string[]>> | undefined;
  return async (name) => {
    hosts ??= readHosts();
    const listed = (await hosts).get(name);
    if (listed !== undefined) return listed;
    const answers = await Promise.allSettled([resolver.resolve4(name), resolver.resolve6(name)]);
    const addresses = answers.flatMap((answer) => (answer.status === "fulfilled" ? answer.value : []));
    const failure = answers.find((answer) => answer.status === "rejected" && !isNotThere(answer.reason));
    if (addresses.length === 0 && failure?.status === "rejected") throw failure.reason;
    return addresses.flatMap((address) => canonicalAddress(address) ?? []);
  };
}

function isNotThere(reason: unknown): boolean {
  return reason instanceof Error && "code" in reason && NOT_THERE.has(String(reason.code));
}

/** hosts(5). */
async function readHosts(): Promise<ReadonlyMap<string, readonly string[]>> {
  const text = await readFile(HOSTS_FILE, "utf8").catch(() => "");
  const hosts = new Map<string, string[]>();
  for (const line of text.split("\n")) {
    const [address = "", ...names] = line.replace(/#.*/, "").trim().split(/\s+/);
    const canonical = canonicalAddress(address);
    if (canonical !== undefined)
      for (const name of names) hosts.set(name.toLowerCase(), [...(hosts.get(name.toLowerCase()) ?? []), canonical]);
  }
  return hosts;
}
