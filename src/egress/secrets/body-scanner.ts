import { toJsonText, toPercentText } from "./encoded-forms.ts";
import { createNeedleSearch, type Segment } from "./needle-search.ts";
import { createSpellingFinder, type Guarded } from "./placeholder.ts";
import { type Destination, isFor, type Refused, refuse } from "./secret-headers.ts";

/** What the headers of a request say about its body, as they stand there. */
export type BodyKind = { readonly contentType?: string | undefined; readonly contentEncoding?: string | undefined };

export type Scanned = { readonly kind: "pass"; readonly bytes: Buffer } | Refused;

/** Call `push` and `end` one after another, each when the one before is settled. A refusal is final. */
export type BodyScanner = {
  /** Whether a value may be put in: the length is then unknown, and the caller sends the body in chunks. */
  readonly mayChangeLength: boolean;
  push(chunk: Buffer): Promise<Scanned>;
  end(): Promise<Scanned>;
};

/**
 * `Secrets.createBodyScanner`: values are put in where a placeholder is written as it is, escaped as the content type asks for (JSON, form). A compressed
 * body passes unread, since its placeholder is worth nothing, unless a secret may be put into bodies for this host: the sender would wait for that in vain.
 */
export function createBodyScanner(kind: BodyKind, destination: Destination): BodyScanner {
  const { guarded, host } = destination;
  const fillable = guarded.find((secret) => mayFill(secret, host));
  if (isCompressed(kind)) {
    const why = `its placeholder can't be looked for in a body with Content-Encoding ${(kind.contentEncoding ?? "").slice(0, 40)}`;
    const refused = fillable === undefined ? undefined : refuse(fillable, why);
    return passing((bytes) => refused ?? { kind: "pass", bytes });
  }
  return guarded.length === 0 ? passing((bytes) => ({ kind: "pass", bytes })) : scanning(kind, destination, fillable !== undefined);
}

function isCompressed({ contentEncoding }: BodyKind): boolean {
  const codings = (contentEncoding ?? "").split(",").map((coding) => coding.trim().toLowerCase());
  return codings.some((coding) => coding !== "" && coding !== "identity");
}

function mayFill(secret: Guarded, host: string): boolean {
  return secret.spec.in.includes("body") && isFor(secret, host);
}

function passing(judge: (bytes: Buffer) => Scanned): BodyScanner {
  return {
    mayChangeLength: false,
    push: (chunk) => Promise.resolve(judge(chunk)),
    end: () => Promise.resolve(judge(Buffer.alloc(0))),
  };
}

/** Between two placeholders that stand next to each other, so that nothing is found which only their removal would bring together. */
const GAP = Buffer.from(" ");

function scanning(kind: BodyKind, { guarded, host, read }: Destination, mayChangeLength: boolean): BodyScanner {
  const search = createNeedleSearch(guarded.map(({ placeholder }) => Buffer.from(placeholder)));
  const finder = createSpellingFinder(guarded);
  let refused: Refused | undefined;

  const fill = async (secret: Guarded): Promise<Buffer | Refused> => {
    if (!isFor(secret, host)) return refuse(secret, `it is not for ${host}`);
    if (!mayFill(secret, host)) return refuse(secret, "it may not be put into bodies");
    return encodeFor(kind, await read(secret.spec));
  };
  const scan = async (segments: readonly Segment[]): Promise<Scanned> => {
    const parts: Buffer[] = [];
    for (const segment of segments) {
      const found = segment.kind === "found" ? guarded[segment.needle] : undefined;
      const bytes = segment.kind === "bytes" ? segment.bytes : GAP;
      const part = found === undefined ? bytes : await fill(found);
      if (!Buffer.isBuffer(part)) return part;
      parts.push(part);
      const hidden = finder.push(bytes);
      if (hidden !== undefined) return refuse(hidden, "its placeholder is encoded in the body, where no value can be put in");
    }
    return { kind: "pass", bytes: Buffer.concat(parts) };
  };
  const settle = (scanned: Scanned): Scanned => {
    if (scanned.kind === "refused") refused = scanned;
    return scanned;
  };
  return {
    mayChangeLength,
    push: async (chunk) => refused ?? settle(await scan(search.push(chunk))),
    end: async () => refused ?? settle(await scan(search.end())),
  };
}

function encodeFor({ contentType }: BodyKind, value: string): Buffer {
  const type = (contentType ?? "").split(";")[0]?.trim().toLowerCase() ?? "";
  if (/[/+]json$/.test(type)) return Buffer.from(toJsonText(value));
  return type === "application/x-www-form-urlencoded" ? Buffer.from(toPercentText(Buffer.from(value))) : Buffer.from(value);
}
