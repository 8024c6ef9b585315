import type { Duplex } from "node:stream";
import { pipeline } from "node:stream/promises";
import { NO_RULE } from "../remedy.ts";
import { decideName, type Rule, rulesFor } from "../rule.ts";
import { buildDnsError, buildDnsReply, type DnsQuery, parseDnsQuery } from "./dns-message.ts";
import { isHostName, parseHostName } from "./host-name.ts";

/** Has the guest listen at a place of its loopback; settles with the name of an error number when it can't. */
export type Listen = (place: { readonly protocol: "tcp"; readonly address: string; readonly port: number }) => Promise<string | undefined>;

export type NamesOptions = {
  readonly rules: readonly Rule[];
  /** Names of the sandbox itself. */
  readonly ownNames: readonly string[];
  readonly listen: Listen;
  readonly onDenied: (denied: DeniedName) => void;
};

/** A name that was not answered with an address. The port is there where it is the reason. */
export type DeniedName = {
  readonly name: string;
  readonly port: number | undefined;
  readonly rule: string | undefined;
  readonly why: string;
};

export type Names = {
  /** Answers one DNS message, or drops it with `undefined`. */
  answer(message: Buffer): Promise<Buffer | undefined>;
  /** The name that an address of the sandbox's loopback stands for. */
  nameAt(address: string): string | undefined;
  /** Serves DNS over TCP (RFC 1035 4.2.2) on one connection; rejects, with the connection broken off, where that does not speak it. */
  serve(connection: Duplex): Promise<void>;
};

const TTL_SECONDS = 300;
const TYPE_A = 1;
const TYPE_AAAA = 28;
const CLASS_IN = 1;
/** 127.64.0.1 and up: none of the loopback addresses that images or resolvers use by habit. */
const FIRST_ADDRESS = 0x7f40_0001;
/** Each name costs the guest a descriptor for each of its ports. */
const MOST_PLACES = 1_024;
const LOCALHOST = "127.0.0.1";
/** Programs ask for the name of an address of their own, which is no attempt to reach anything (RFC 6303 answers it on the spot too). */
const OWN_REVERSE = /^(\d{1,3}\.){3}127\.in-addr\.arpa$/;

/**
 * Answers the sandbox's name look-ups from the rules alone: an allowed name gets an address of its own in 127.0.0.0/8, which stays the same for the
 * whole run, and the guest listens there before the answer leaves; every other name does not exist (RFC 1035 RCODE 3). Nothing is looked up outside.
 */
export function createNames({ rules, ownNames, listen, onDenied }: NamesOptions): Names {
  const addresses = new Map<string, Promise<Settled>>();
  const names = new Map<string, string>();
  const attempts = createAttempts();
  let places = 0;

  async function answer(message: Buffer): Promise<Buffer | undefined> {
    const query = parseDnsQuery(message);
    if ("refused" in query) return buildDnsError(query);
    return buildDnsReply(query, await resolve(query));
  }

  async function resolve(query: DnsQuery): Promise<Parameters<typeof buildDnsReply>[1]> {
    const name = canonicalName(query.name);
    if (name === undefined || query.class !== CLASS_IN)
      return deny(query.type, { name: shown(query.name), why: "it is not the name of a host" });
    if (name === "localhost" || name.endsWith(".localhost") || ownNames.includes(name))
      return query.type === TYPE_A ? { kind: "address", address: LOCALHOST, ttl: TTL_SECONDS } : { kind: "empty" };
    if (OWN_REVERSE.test(name)) return { kind: "name-error" };
    const verdict = decideName(rules, name);
    if (verdict.kind === "denied")
      return deny(query.type, {
        name,
        rule: verdict.rule,
        why: verdict.rule === undefined ? NO_RULE : `the rule ${verdict.rule} denies it`,
      });
    const settled = await addressOf(name, verdict.ports);
    if ("why" in settled) {
      deny(query.type, { name, ...settled });
      return { kind: "server-failure" };
    }
    return query.type === TYPE_A ? { kind: "address", address: settled.address, ttl: TTL_SECONDS } : { kind: "empty" };
  }

  function deny(type: number, { name, port, rule, why }: Denied): { readonly kind: "name-error" } {
    if (attempts.isNew(name, type)) onDenied({ name, port, rule, why });
    return { kind: "name-error" };
  }

  function addressOf(name: string, ports: readonly number[]): Promise<Settled> {
    const known = addresses.get(name);
    if (known !== undefined) return known;
    if (places + ports.length > MOST_PLACES)
      return Promise.resolve({ ...allowing(name, ports[0] ?? 0), why: "the run has no address left for another name" });
    places += ports.length;
    const settling = settle(name, ports);
    addresses.set(name, settling);
    return settling;
  }

  async function settle(name: string, ports: readonly number[]): Promise<Settled> {
    const address = dotted(FIRST_ADDRESS + names.size);
    names.set(address, name);
    const failures = await Promise.all(ports.map((port) => listen({ protocol: "tcp", address, port })));
    const at = failures.findIndex((failure) => failure !== undefined);
    const port = ports[at];
    return port === undefined ? { address } : { ...allowing(name, port), why: whyNot(port, failures[at] ?? "") };
  }

  /** The rule is named so that nobody looks for one that is missing. */
  function allowing(name: string, port: number): Pick<DeniedName, "port" | "rule"> {
    return { port, rule: rulesFor(rules, { name, port })[0]?.text };
  }

  return {
    answer,
    nameAt: (address) => names.get(address),
    serve: (connection) => serveStream(connection, answer),
  };
}

type Denied = Pick<DeniedName, "name" | "why"> & Partial<DeniedName>;
type Settled = { readonly address: string } | Omit<DeniedName, "name">;

function whyNot(port: number, failure: string): string {
  if (failure === "EADDRINUSE") return `a program inside listens on port ${port} itself (${failure})`;
  return `nothing can listen on port ${port} inside (${failure})`;
}

/** More names than this are counted question by question. */
const MOST_NAMES = 1_000;

/** One look-up asks for IPv4 and IPv6 at once: such a pair is one attempt. Every other question is one of its own. */
function createAttempts(): { isNew(name: string, type: number): boolean } {
  const counts = new Map<string, { readonly [TYPE_A]: number; readonly [TYPE_AAAA]: number }>();
  return {
    isNew(name, type) {
      if (type !== TYPE_A && type !== TYPE_AAAA) return true;
      const before = counts.get(name) ?? { [TYPE_A]: 0, [TYPE_AAAA]: 0 };
      const count = before[type] + 1;
      if (counts.has(name) || counts.size < MOST_NAMES) counts.set(name, { ...before, [type]: count });
      return count > Math.max(before[TYPE_A], before[TYPE_AAAA]);
    },
  };
}

function canonicalName(name: string | undefined): string | undefined {
  return name !== undefined && isHostName(name) ? parseHostName(name) : undefined;
}

/** What the task asked for is shown to people: it must not be able to act there, or to grow. */
function shown(name: string | undefined): string {
  return (name ?? "(not a name)").replace(/[^\x21-\x7e]/g, "?").slice(0, 253);
}

function dotted(address: number): string {
  return [24, 16, 8, 0].map((shift) => (address >>> shift) & 0xff).join(".");
}

const LENGTH_BYTES = 2;
const MAX_MESSAGE = 4_096;

/** A client may end its side with answers still to come, so that its end must not destroy the connection, as leaving a loop over it would. */
async function serveStream(connection: Duplex, answer: Names["answer"]): Promise<void> {
  await pipeline(answersTo(connection.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>, answer), connection);
}

async function* answersTo(pieces: AsyncIterable<Buffer>, answer: Names["answer"]): AsyncGenerator<Buffer> {
  let held = Buffer.alloc(0);
  for await (const piece of pieces) {
    held = Buffer.concat([held, piece]);
    while (held.length >= LENGTH_BYTES) {
      const end = LENGTH_BYTES + held.readUInt16BE(0);
      if (end > LENGTH_BYTES + MAX_MESSAGE) throw new Error("What came over TCP is not a question.");
      if (held.length < end) break;
      const reply = await answer(held.subarray(LENGTH_BYTES, end));
      held = held.subarray(end);
      if (reply === undefined) throw new Error("What came over TCP is not a question.");
      const length = Buffer.alloc(LENGTH_BYTES);
      length.writeUInt16BE(reply.length);
      yield Buffer.concat([length, reply]);
    }
  }
}
