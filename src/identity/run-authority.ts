import { SandboxError } from "../core/errors.ts";
import { type Authority, issueAuthority, issueLeaf, type Leaf } from "./certificates.ts";
import { isBelow, parseDnsName, parseSuffix } from "./dns-name.ts";

/**
 * The certificate authority of one run. Its key never leaves the memory of this process and is not extractable; `certificate` is the PEM that the
 * task is told to trust. `leafFor` gives the certificate for one DNS name, leaf then authority, with its private key (PKCS #8, PEM). The same name
 * gives the same leaf as long as it is remembered. Throws `INTERNAL` for a name that the authority is not allowed to certify.
 */
export type RunAuthority = {
  readonly certificate: string;
  leafFor(name: string): Promise<Leaf>;
};

/**
 * `names` are the DNS names that the run may intercept: each stands for itself and everything below it, as in a name constraint (RFC 5280, section
 * 4.2.1.10), and `*.example.com` and `.example.com` mean `example.com`. `now` is the clock, in milliseconds since 1970. `lifetimeMs` is how long
 * the certificates are good for from now on, 24 hours unless told and at most 7 days; they begin five minutes ago, for clocks that are behind.
 */
export type RunAuthorityOptions = {
  readonly names: readonly string[];
  readonly now?: () => number;
  readonly lifetimeMs?: number;
};

const HOUR = 3_600_000;
const DEFAULT_LIFETIME = 24 * HOUR;
const LONGEST_LIFETIME = 7 * 24 * HOUR;
const CLOCK_SKEW = 300_000;
const MOST_LEAVES = 1024;

/**
 * Makes an authority (ECDSA P-256) that can certify nothing but `names`: the limit is part of its certificate, so that whoever verifies a chain
 * enforces it as well. Throws `INTERNAL` for no names at all, since an empty list of constraints permits every name, for one that is no DNS name,
 * and for a lifetime out of range.
 */
export async function createRunAuthority(options: RunAuthorityOptions): Promise<RunAuthority> {
  const { now = Date.now, lifetimeMs = DEFAULT_LIFETIME } = options;
  const suffixes = parseSuffixes(options.names);
  if (!(lifetimeMs > 0 && lifetimeMs <= LONGEST_LIFETIME)) throw refuse(`A run's authority cannot live for ${lifetimeMs} ms`);
  const start = now();
  const authority = await issueAuthority(suffixes, { from: new Date(start - CLOCK_SKEW), to: new Date(start + lifetimeMs) });
  const leaves = rememberLeaves(authority);
  return {
    certificate: authority.pem,
    async leafFor(text) {
      const name = parseDnsName(text);
      if (name === undefined) throw refuse(`No certificate is issued for ${JSON.stringify(text)}: it is not a DNS name`);
      if (!suffixes.some((suffix) => isBelow(name, suffix)))
        throw refuse(`No certificate is issued for ${name}: this run does not intercept it`);
      return leaves(name);
    },
  };
}

/** Each once, and none that another already covers. */
function parseSuffixes(names: readonly string[]): readonly string[] {
  const suffixes = new Set(
    names.map((text) => {
      const suffix = parseSuffix(text);
      if (suffix === undefined) throw refuse(`A run's authority cannot be limited to ${JSON.stringify(text)}: it is not a DNS name`);
      return suffix;
    }),
  );
  if (suffixes.size === 0) throw refuse("A run's authority without names could certify every name");
  const all = [...suffixes];
  return all.filter((suffix) => !all.some((other) => other !== suffix && isBelow(suffix, other)));
}

/**
 * Remembers what was issued, and forgets the name that was asked for longest ago once there are too many, so that a task that makes up names costs
 * no memory. What is remembered is the promise: a hundred connections that open at once wait for the same leaf. A failure is not remembered.
 */
function rememberLeaves(authority: Authority): (name: string) => Promise<Leaf> {
  const leaves = new Map<string, Promise<Leaf>>();
  return (name) => {
    const leaf = leaves.get(name) ?? issueLeaf(authority, name);
    leaves.delete(name);
    leaves.set(name, leaf);
    leaf.catch(() => leaves.get(name) === leaf && leaves.delete(name));
    const [oldest] = leaves.keys();
    if (leaves.size > MOST_LEAVES && oldest !== undefined) leaves.delete(oldest);
    return leaf;
  };
}

function refuse(what: string): SandboxError {
  return new SandboxError("INTERNAL", `${what}.`, "Report this: the policy should have decided it before.");
}
