import { encodedForms } from "./encoded-forms.ts";
import { createNeedleSearch, type Segment } from "./needle-search.ts";

/** Takes the bytes of a body as they come and gives what may be passed on; `end` gives the rest. */
export type EchoScrubber = { push(chunk: Buffer): Buffer; end(): Buffer };

/** A value and what is to stand in its place. */
export type Echo = { readonly value: string; readonly placeholder: string };

type Needle = { readonly bytes: Buffer; readonly replacement: Buffer };

/**
 * Puts placeholders where values stand, in each of their `encodedForms`. `echoes` is asked for with each piece: a value may be read, and sent by another
 * request, while a body is under way. A value inside longer base64 leaves the characters that it shares with its neighbours: at most 4 bits of its first
 * and last byte. The length changes, so the caller drops `Content-Length`; what is compressed has to be decoded first.
 */
export function createEchoScrubber(echoes: () => readonly Echo[]): EchoScrubber {
  const search = createNeedleSearch([]);
  let known: readonly Echo[] = [];
  let needles: readonly Needle[] = [];

  function learn(): void {
    const now = echoes();
    if (now.length === known.length && now.every(({ value }, index) => value === known[index]?.value)) return;
    known = now;
    needles = now.flatMap(needlesOf);
    search.lookFor(needles.map(({ bytes }) => bytes));
  }

  function write(segments: readonly Segment[]): Buffer {
    return Buffer.concat(
      segments.map((segment) => (segment.kind === "bytes" ? segment.bytes : (needles[segment.needle]?.replacement ?? Buffer.alloc(0)))),
    );
  }

  return {
    push: (chunk) => {
      learn();
      return write(search.push(chunk));
    },
    end: () => {
      learn();
      return write(search.end());
    },
  };
}

function needlesOf({ value, placeholder }: Echo): readonly Needle[] {
  return encodedForms(value).map((form) => ({ bytes: Buffer.from(form, "utf8"), replacement: Buffer.from(placeholder) }));
}

/** The same for a whole text; `latin1` for what `node:http` calls a header. */
export function scrubWhole(text: string, echoes: readonly Echo[], encoding: "utf8" | "latin1"): string {
  if (echoes.length === 0) return text;
  const scrubber = createEchoScrubber(() => echoes);
  return Buffer.concat([scrubber.push(Buffer.from(text, encoding)), scrubber.end()]).toString(encoding);
}
