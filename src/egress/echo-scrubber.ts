import { encodedForms } from "./encoded-forms.ts";
import { createNeedleSearch, type Segment } from "./needle-search.ts";

/** Takes the bytes of a body as they come and gives what may be passed on; `end` gives the rest. */
export type EchoScrubber = { push(chunk: Buffer): Buffer; end(): Buffer };

/** A value and what is to stand in its place. */
export type Echo = { readonly value: string; readonly placeholder: string };

/**
 * Puts placeholders where values stand, in each of their `encodedForms`. A value inside longer base64 leaves the characters that it shares with its
 * neighbours: at most 4 bits of its first and last byte. The length changes, so the caller drops `Content-Length`; what is compressed is not looked into.
 */
export function createEchoScrubber(echoes: readonly Echo[]): EchoScrubber {
  const needles = echoes.flatMap(({ value, placeholder }) =>
    encodedForms(value).map((form) => ({ bytes: Buffer.from(form, "utf8"), replacement: Buffer.from(placeholder) })),
  );
  const search = createNeedleSearch(needles.map(({ bytes }) => bytes));
  const write = (segments: readonly Segment[]): Buffer =>
    Buffer.concat(
      segments.map((segment) => (segment.kind === "bytes" ? segment.bytes : (needles[segment.needle]?.replacement ?? Buffer.alloc(0)))),
    );
  return { push: (chunk) => write(search.push(chunk)), end: () => write(search.end()) };
}

/** The same for a whole text; `latin1` for what `node:http` calls a header. */
export function scrubWhole(text: string, echoes: readonly Echo[], encoding: "utf8" | "latin1"): string {
  if (echoes.length === 0) return text;
  const scrubber = createEchoScrubber(echoes);
  return Buffer.concat([scrubber.push(Buffer.from(text, encoding)), scrubber.end()]).toString(encoding);
}
