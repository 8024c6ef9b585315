import { isIPv4, isIPv6 } from "node:net";
import { SandboxError } from "../core/errors.ts";

/** One rule about what may leave, as its writer meant it. What is `undefined` does not restrict. */
export type RuleSpec = {
  /** As it was written, for reports. */
  readonly text: string;
  /** `x.com`, `*.x.com` for one more label, `**.x.com` for any number. */
  readonly host: string;
  /** Denies in place of allowing, and beats every rule that allows. */
  readonly deny: boolean;
  /** 1 to 65,535. Empty only for a rule that denies every port. */
  readonly ports: readonly number[];
  /** Where connections go in place of what the name resolves to. */
  readonly address: { readonly ip: string; readonly port: number | undefined } | undefined;
  /** The name may resolve to addresses of private networks. */
  readonly allowPrivate: boolean;
  /** HTTP methods in upper case. */
  readonly methods: readonly string[] | undefined;
  /** Patterns of HTTP paths. */
  readonly paths: readonly string[] | undefined;
  /** Requests, or connections where they are not HTTP: `30/m`. */
  readonly rate: string | undefined;
  /** Attempts at once beyond the rate. */
  readonly burst: number | undefined;
  /** Bytes out in all. */
  readonly maxBytes: number | undefined;
  readonly maxConnections: number | undefined;
  readonly upgrade: readonly "websocket"[];
  /** PEM certificates that the server's chain may end in, in place of the host's. */
  readonly ca: string | undefined;
};

const DEFAULT_PORTS: readonly number[] = [443, 80];

/** A rule without restrictions beyond host and ports. */
function plainRule(text: string, host: string, ports: readonly number[] = DEFAULT_PORTS): RuleSpec {
  return {
    text,
    host,
    deny: false,
    ports,
    address: undefined,
    allowPrivate: false,
    methods: undefined,
    paths: undefined,
    rate: undefined,
    burst: undefined,
    maxBytes: undefined,
    maxConnections: undefined,
    upgrade: [],
    ca: undefined,
  };
}

/** A secret that the command knows by a placeholder alone; its value is put in on the host, for these hosts only. */
export type SecretRequest = {
  /** The variable in which the command finds the placeholder. */
  readonly name: string;
  readonly from:
    | { readonly kind: "env"; readonly variable: string }
    | { readonly kind: "file"; readonly path: string }
    | { readonly kind: "cmd"; readonly command: string };
  /** At least one, as a rule writes them. */
  readonly hosts: readonly string[];
  readonly in: readonly ("header" | "body")[];
  /** The only header that it may stand in. */
  readonly header?: string;
};

/**
 * Parses the value of `--allow`: `HOST[:PORT]`, several separated by commas, or `NAME=ADDR:PORT` for a fixed address (an IPv6 address in brackets).
 * The host itself is judged where rules are compiled. Throws `BAD_RULE`.
 */
export function parseAllow(value: string): readonly RuleSpec[] {
  return value.split(",").map((part) => (part.includes("=") ? parseFixed(part) : parseHost(part)));
}

function parseHost(text: string): RuleSpec {
  const colon = text.indexOf(":");
  if (colon < 0) return plainRule(text, text);
  if (colon !== text.lastIndexOf(":")) throw badRule(text, "has more than one colon", "An IPv6 address needs a name: NAME=[ADDRESS]:PORT.");
  return plainRule(text, text.slice(0, colon), [parsePort(text, text.slice(colon + 1))]);
}

const FIXED = /^([^=]*)=(?:\[([^\]]*)\]|([^:]*)):([^:]*)$/;

function parseFixed(text: string): RuleSpec {
  const [, name = "", v6, v4, port = ""] = FIXED.exec(text) ?? [];
  const ip = v6 ?? v4 ?? "";
  if (!(v6 === undefined ? isIPv4(ip) : isIPv6(ip)))
    throw badRule(text, "does not end in an address and a port", "Write NAME=10.0.0.5:5432, or NAME=[fd00::5]:5432.");
  const number = parsePort(text, port);
  return { ...plainRule(text, name, [number]), address: { ip, port: number } };
}

function parsePort(text: string, port: string): number {
  const number = /^[1-9]\d{0,4}$/.test(port) ? Number(port) : 0;
  if (number < 1 || number > 65_535)
    throw badRule(text, `has the port ${JSON.stringify(port)}`, "A port is a number from 1 to 65535: example.com:8443.");
  return number;
}

function badRule(text: string, what: string, hint: string): SandboxError {
  return new SandboxError("BAD_RULE", `--allow ${JSON.stringify(text)} ${what}.`, hint);
}
