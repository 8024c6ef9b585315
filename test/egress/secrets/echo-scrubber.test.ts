import { describe, expect, it } from "vitest";
import type { EchoScrubber } from "../../../src/egress/secrets/echo-scrubber.ts";
import type { Secrets } from "../../../src/egress/secrets/secret.ts";
import { fuzzRuns } from "../../lab/fuzz-runs.ts";
import { fc } from "../../lab/property.ts";
import { cut, holding, placeholderOf, VALUE } from "./secrets-under-test.ts";

async function known(value: string): Promise<Secrets> {
  const secrets = holding(value);
  await secrets.refresh("TOKEN");
  return secrets;
}

function scrub(scrubber: EchoScrubber, chunks: readonly Buffer[]): string {
  return Buffer.concat([...chunks.map((chunk) => scrubber.push(chunk)), scrubber.end()]).toString();
}

const bytes = Buffer.from(VALUE);
const inner = JSON.stringify(VALUE).slice(1, -1);
const FORMS: readonly (readonly [string, string])[] = [
  ["plain", VALUE],
  ["JSON", inner],
  ["JSON with \\/", inner.replaceAll("/", "\\/")],
  ["JSON in ASCII", inner.replace("ö", "\\u00f6")],
  ["JSON for HTML", inner.replace(">", "\\u003e")],
  ["percent", encodeURIComponent(VALUE)],
  ["percent in lower case", encodeURIComponent(VALUE).replaceAll(/%../g, (octet) => octet.toLowerCase())],
  ["a form", new URLSearchParams({ v: VALUE }).toString().slice(2)],
  ["hex", bytes.toString("hex")],
  ["HEX", bytes.toString("hex").toUpperCase()],
];

describe("createEchoScrubber", () => {
  it.each(FORMS)("puts the placeholder where a server echoes the value: %s, cut at every place", async (_how, form) => {
    const secrets = await known(VALUE);
    const body = Buffer.from(`<p>${form}</p>`);
    for (let at = 0; at <= body.length; at += 1)
      expect(scrub(secrets.createEchoScrubber(), [body.subarray(0, at), body.subarray(at)])).toBe(`<p>${placeholderOf(secrets)}</p>`);
    expect(
      scrub(
        secrets.createEchoScrubber(),
        Array.from(body, (byte) => Buffer.from([byte])),
      ),
    ).toBe(`<p>${placeholderOf(secrets)}</p>`);
  });

  it.each(["base64", "base64url"] as const)(
    "leaves less than a byte at each end of %s, at each alignment, cut at every place",
    async (encoding) => {
      const secrets = await known(VALUE);
      for (const before of ["", "x", "xy"]) {
        const text = Buffer.concat([Buffer.from(before), bytes, Buffer.from("zz")]).toString(encoding);
        const [first, last] = [Math.ceil((before.length * 8) / 6), Math.floor(((before.length + bytes.length) * 8) / 6)];
        const body = Buffer.from(text);
        for (let at = 0; at <= body.length; at += 1)
          expect(scrub(secrets.createEchoScrubber(), [body.subarray(0, at), body.subarray(at)])).toBe(
            text.slice(0, first) + placeholderOf(secrets) + text.slice(last),
          );
      }
    },
  );

  it("finds base64 that is itself in a URL or in JSON which escapes slashes", async () => {
    const value = "????>>>>~~~~????";
    const secrets = await known(value);
    const base64 = Buffer.from(value).toString("base64").replace(/=*$/, "");
    expect(base64).toMatch(/[+/]/);
    for (const text of [encodeURIComponent(base64), base64.replaceAll("/", "\\/")])
      expect(secrets.scrubText(text)).toMatch(new RegExp(`^${placeholderOf(secrets)}.?$`));
  });

  it("passes on at once what can't be an echo", async () => {
    const scrubber = (await known("a-long-enough-value")).createEchoScrubber();
    expect(scrubber.push(Buffer.from("event: 1\n\n")).toString()).toBe("event: 1\n\n");
  });

  it("looks for a short value as it is only, and for none that was never read", async () => {
    const secrets = await known("1234567");
    const base64 = Buffer.from("1234567").toString("base64");
    expect(secrets.scrubText(`1234567 ${base64}`)).toBe(`${placeholderOf(secrets)} ${base64}`);
    expect(holding("1234567").scrubText("1234567")).toBe("1234567");
  });

  it("scrubs headers and texts too", async () => {
    const secrets = await known(VALUE);
    const basic = Buffer.from(`me:${VALUE}`).toString("base64");
    expect(secrets.scrubHeaders(["X-Echo", `Bearer ${bytes.toString("latin1")}`])).toEqual(["X-Echo", `Bearer ${placeholderOf(secrets)}`]);
    expect(secrets.scrubText(`failed: ${VALUE}, ${basic}`)).not.toContain(basic.slice(8, 30));
    expect(secrets.scrubText("nothing ✓")).toBe("nothing ✓");
  });

  it("leaves no value and changes nothing else, however an answer is cut", async () => {
    const value = "aab-aab-aac";
    const secrets = await known(value);
    const piece = fc.oneof(fc.constantFrom(value, "aab-", "aab-aab-", Buffer.from(value).toString("hex")), fc.string({ maxLength: 10 }));
    const places = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 12 });
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), places, (pieces, fractions) => {
        const text = pieces.join("");
        const scrubbed = scrub(secrets.createEchoScrubber(), cut(Buffer.from(text), fractions));
        const expected = text.replaceAll(new RegExp(`${value}|${Buffer.from(value).toString("hex")}`, "g"), placeholderOf(secrets));
        expect(scrubbed).toBe(expected);
      }),
      { numRuns: fuzzRuns(500) },
    );
  });
});
