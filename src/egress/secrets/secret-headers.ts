import { findAnySpelling, type Guarded, placeholderPattern } from "./placeholder.ts";
import type { SecretSpec } from "./secret-spec.ts";

export type Refused = { readonly kind: "refused"; readonly secret: string; readonly why: string };

export type Substituted =
  | { readonly kind: "clean" }
  | { readonly kind: "replaced"; readonly rawHeaders: readonly string[]; readonly used: readonly string[] }
  | Refused;

/** The secrets, how to read one, and the host that a request goes to. */
export type Destination = {
  readonly host: string;
  readonly guarded: readonly Guarded[];
  readonly read: (spec: SecretSpec) => Promise<string>;
};

/** `Secrets.substituteHeaders` on names and values in turn. Header texts are bytes as latin1, as `node:http` has them. */
export async function substituteHeaders(rawHeaders: readonly string[], destination: Destination): Promise<Substituted> {
  const result: string[] = [];
  const used = new Set<string>();
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at] ?? "";
    const named = findAnySpelling(name, destination.guarded);
    if (named !== undefined) return refuse(named, "its placeholder stands in the name of a header");
    const value = await substituteValue({ name: name.toLowerCase(), value: rawHeaders[at + 1] ?? "" }, destination);
    if (value.kind === "refused") return value;
    for (const secret of value.used) used.add(secret);
    result.push(name, value.text);
  }
  return used.size === 0 ? { kind: "clean" } : { kind: "replaced", rawHeaders: result, used: [...used] };
}

export function refuse({ spec }: Guarded, why: string): Refused {
  return { kind: "refused", secret: spec.name, why };
}

export function isFor({ spec }: Guarded, host: string): boolean {
  return spec.hosts.some((match) => match.matches(host));
}

type Header = { readonly name: string; readonly value: string };
type Filled = { readonly kind: "filled"; readonly text: string; readonly used: readonly string[] };

const BASIC = /^(basic +)([A-Za-z0-9+/_-]+=*) *$/i;

/** Credentials of the scheme Basic (RFC 7617) are decoded, filled and encoded again. */
async function substituteValue(header: Header, destination: Destination): Promise<Filled | Refused> {
  const [, scheme, encoded] = /^(?:proxy-)?authorization$/.test(header.name) ? (BASIC.exec(header.value) ?? []) : [];
  if (scheme === undefined || encoded === undefined) return fill(header, destination);
  const credentials = Buffer.from(encoded, "base64").toString("latin1");
  if (!placeholderPattern(destination.guarded).test(credentials)) return fill(header, destination);
  const colon = credentials.indexOf(":");
  const user = await fill({ ...header, value: colon === -1 ? credentials : credentials.slice(0, colon) }, destination);
  if (user.kind === "refused") return user;
  if (user.text.includes(":"))
    return { kind: "refused", secret: user.used.join(", "), why: "its value holds a colon, which a user name can't" };
  const password = await fill({ ...header, value: colon === -1 ? "" : credentials.slice(colon) }, destination);
  if (password.kind === "refused") return password;
  const text = scheme + Buffer.from(user.text + password.text, "latin1").toString("base64");
  return { kind: "filled", text, used: [...user.used, ...password.used] };
}

/** Headers that say where a message goes and where it ends (RFC 9110, section 7.6.1; RFC 9112, section 6). */
const FRAMING = new Set(["host", "content-length", "transfer-encoding", "connection", "upgrade", "te", "trailer", "expect", "keep-alive"]);

async function fill({ name, value }: Header, { host, guarded, read }: Destination): Promise<Filled | Refused> {
  const values = new Map<string, string>();
  const used: string[] = [];
  for (const secret of guarded.filter(({ placeholder }) => value.includes(placeholder))) {
    const why = whyNot(secret, name, host);
    if (why !== undefined) return refuse(secret, why);
    const text = await read(secret.spec);
    if (/[\x00-\x08\x0a-\x1f\x7f]/.test(text))
      return refuse(secret, "its value holds a line break or control character, which a header can't");
    values.set(secret.placeholder, Buffer.from(text, "utf8").toString("latin1"));
    used.push(secret.spec.name);
  }
  const pattern = placeholderPattern(guarded);
  const hidden = findAnySpelling(value.replaceAll(pattern, " "), guarded);
  if (hidden !== undefined) return refuse(hidden, `its placeholder is encoded in the header ${name}, where no value can be put in`);
  return { kind: "filled", text: value.replaceAll(pattern, (placeholder) => values.get(placeholder) ?? placeholder), used };
}

function whyNot(secret: Guarded, name: string, host: string): string | undefined {
  const { header, in: places } = secret.spec;
  if (!isFor(secret, host)) return `it is not for ${host}`;
  if (!places.includes("header")) return "it may not be put into headers";
  if (header !== undefined && header.toLowerCase() !== name) return `it may be put into the header ${header} only`;
  return FRAMING.has(name) ? `the header ${name} directs the message itself` : undefined;
}
