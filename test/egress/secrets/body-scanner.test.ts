import { describe, expect, it } from "vitest";
import type { BodyScanner } from "../../../src/egress/secrets/body-scanner.ts";
import { fuzzRuns } from "../../lab/fuzz-runs.ts";
import { fc } from "../../lab/property.ts";
import { aligned, cut, holding, jsonAll, OTHER, OWN, percentAll, placeholderOf, spec, VALUE } from "./secrets-under-test.ts";

/** What comes out of the scanner, or why it refused. */
async function scan(scanner: BodyScanner, chunks: readonly Buffer[]): Promise<string> {
  const parts: Buffer[] = [];
  for (const step of [...chunks.map((chunk) => () => scanner.push(chunk)), () => scanner.end()]) {
    const scanned = await step();
    if (scanned.kind === "refused") return `refused: ${scanned.secret}`;
    parts.push(scanned.bytes);
  }
  return Buffer.concat(parts).toString();
}

const inBody = spec({ in: ["body"] });

describe("createBodyScanner", () => {
  it("finds a placeholder that is split over two writes at every place, in every spelling, for another host", async () => {
    const secrets = holding(VALUE, inBody);
    const placeholder = placeholderOf(secrets);
    for (const spelling of [placeholder, percentAll(placeholder), jsonAll(placeholder), ...aligned(placeholder)]) {
      const body = Buffer.from(`{"a":"${spelling}"}`);
      for (let at = 0; at <= body.length; at += 1)
        expect(await scan(secrets.createBodyScanner(OTHER, {}), [body.subarray(0, at), body.subarray(at)])).toBe("refused: TOKEN");
      expect(
        await scan(
          secrets.createBodyScanner(OTHER, {}),
          Array.from(body, (byte) => Buffer.from([byte])),
        ),
      ).toBe("refused: TOKEN");
      if (spelling !== placeholder) expect(await scan(secrets.createBodyScanner(OWN, {}), [body])).toBe("refused: TOKEN");
    }
  });

  it("finds base64 that is folded, also within JSON", async () => {
    const secrets = holding(VALUE);
    for (const text of aligned(placeholderOf(secrets))) {
      for (const fold of ["\r\n", "\\n"])
        expect(await scan(secrets.createBodyScanner(OWN, {}), [Buffer.from(text.replaceAll(/.{20}/g, `$&${fold}`))])).toBe(
          "refused: TOKEN",
        );
    }
  });

  it("puts the value in for its own host, split at every place, as the content type asks for", async () => {
    const secrets = holding(VALUE, inBody);
    const cases = [
      [undefined, VALUE],
      ["application/json; charset=utf-8", JSON.stringify(VALUE).slice(1, -1)],
      ["application/vnd.api+json", JSON.stringify(VALUE).slice(1, -1)],
      ["application/x-www-form-urlencoded", encodeURIComponent(VALUE)],
    ] as const;
    for (const [contentType, written] of cases) {
      const body = Buffer.from(`{"a":"${placeholderOf(secrets)}"}`);
      for (let at = 0; at <= body.length; at += 1) {
        const scanner = secrets.createBodyScanner(OWN, { contentType });
        expect(scanner.mayChangeLength).toBe(true);
        expect(await scan(scanner, [body.subarray(0, at), body.subarray(at)])).toBe(`{"a":"${written}"}`);
      }
    }
  });

  it("names each secret that it puts in, and none that it does not", async () => {
    const secrets = holding(VALUE, inBody, spec({ name: "UNUSED", in: ["body"] }));
    const used: string[] = [];
    await scan(
      secrets.createBodyScanner(OWN, {}, (name) => used.push(name)),
      [Buffer.from(`${placeholderOf(secrets)} and ${placeholderOf(secrets)}`)],
    );
    expect(new Set(used)).toEqual(new Set(["TOKEN"]));
  });

  it("refuses for its own host what may stand in headers only, and stays with it", async () => {
    const secrets = holding(VALUE);
    const scanner = secrets.createBodyScanner(OWN, {});
    expect(scanner.mayChangeLength).toBe(false);
    expect(await scanner.push(Buffer.from(placeholderOf(secrets)))).toMatchObject({ kind: "refused" });
    expect([await scanner.push(Buffer.from("x")), await scanner.end()]).toMatchObject([{ kind: "refused" }, { kind: "refused" }]);
  });

  it("passes a compressed body unless a value might be asked for in it", async () => {
    const secrets = holding(VALUE, inBody);
    const body = [Buffer.from(placeholderOf(secrets))];
    expect(await scan(secrets.createBodyScanner(OTHER, { contentEncoding: "gzip" }), body)).toBe(placeholderOf(secrets));
    expect(await scan(secrets.createBodyScanner(OWN, { contentEncoding: "identity, GZIP" }), body)).toBe("refused: TOKEN");
    expect(await scan(secrets.createBodyScanner(OWN, { contentEncoding: "identity" }), body)).toBe(VALUE);
    expect(await scan(holding(VALUE).createBodyScanner(OWN, { contentEncoding: "br" }), body)).toBe(placeholderOf(secrets));
  });

  it("changes no byte of anything else, and replaces every placeholder, however the body is cut", async () => {
    const secrets = holding("short", inBody);
    const placeholder = placeholderOf(secrets);
    const piece = fc.oneof(
      fc.constantFrom(placeholder, placeholder.slice(0, 20), "sbx-", "%", "\\u00", "\n"),
      fc.string({ maxLength: 20 }),
    );
    const places = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 12 });
    await fc.assert(
      fc.asyncProperty(fc.array(piece, { maxLength: 12 }), places, async (pieces, fractions) => {
        const text = pieces.join("");
        fc.pre(!text.split(placeholder).some((part) => part.replaceAll(/[\r\n]/g, "").includes(placeholder)));
        const scanned = await scan(secrets.createBodyScanner(OWN, {}), cut(Buffer.from(text), fractions));
        expect(scanned).toBe(text.replaceAll(placeholder, "short"));
      }),
      { numRuns: fuzzRuns(300) },
    );
  });
});
