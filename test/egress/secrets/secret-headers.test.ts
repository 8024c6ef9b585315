import { describe, expect, it } from "vitest";
import { aligned, holding, jsonAll, OTHER, OWN, percentAll, placeholderOf, spec, VALUE } from "./secrets-under-test.ts";

const asHeader = (text: string): string => Buffer.from(text).toString("latin1");
const base64 = (text: string): string => Buffer.from(text).toString("base64");

describe("substituteHeaders", () => {
  it("puts the value in for its own host, keeps everything else and its case", async () => {
    const secrets = holding(VALUE);
    const raw = [
      "Host",
      OWN,
      "Authorization",
      `Bearer ${placeholderOf(secrets)}`,
      "X-Two",
      `${placeholderOf(secrets)};${placeholderOf(secrets)}`,
    ];
    const value = asHeader(VALUE);
    expect(await secrets.substituteHeaders(raw, OWN)).toEqual({
      kind: "replaced",
      rawHeaders: ["Host", OWN, "Authorization", `Bearer ${value}`, "X-Two", `${value};${value}`],
      used: ["TOKEN"],
    });
    expect(await secrets.substituteHeaders(["Host", OWN, "Cookie", "a=b%20c"], OWN)).toEqual({ kind: "clean" });
  });

  it("does not take a value for a pattern of replacement or for another placeholder", async () => {
    const secrets = holding("$&$1$`'$$", spec());
    expect(await secrets.substituteHeaders(["a", placeholderOf(secrets)], OWN)).toMatchObject({ rawHeaders: ["a", "$&$1$`'$$"] });
  });

  it.each(["me:PLACEHOLDER", "PLACEHOLDER:", "PLACEHOLDER:x-oauth-basic", "PLACEHOLDER:PLACEHOLDER", "PLACEHOLDER"])(
    "decodes Basic credentials %s and encodes them again",
    async (credentials) => {
      const secrets = holding(VALUE);
      const sent = base64(credentials.replaceAll("PLACEHOLDER", placeholderOf(secrets)));
      expect(await secrets.substituteHeaders(["authorization", `Basic ${sent}`], OWN)).toEqual({
        kind: "replaced",
        rawHeaders: ["authorization", `Basic ${base64(credentials.replaceAll("PLACEHOLDER", VALUE))}`],
        used: ["TOKEN"],
      });
      expect(await secrets.substituteHeaders(["authorization", `Basic ${sent}`], OTHER)).toMatchObject({ kind: "refused" });
    },
  );

  it("refuses a value with a colon as the user of Basic, which would move into the password", async () => {
    const secrets = holding("user:password");
    const raw = ["Authorization", `Basic ${base64(`${placeholderOf(secrets)}:x`)}`];
    expect(await secrets.substituteHeaders(raw, OWN)).toMatchObject({
      kind: "refused",
      secret: "TOKEN",
      why: expect.stringContaining("colon"),
    });
  });

  it.each(["a\r\nX-Injected: 1", "a\nb", "a\0b"])("refuses the value %j, which would end the header", async (value) => {
    const secrets = holding(value);
    expect(await secrets.substituteHeaders(["a", placeholderOf(secrets)], OWN)).toMatchObject({ kind: "refused" });
  });

  it("refuses without reading the value what goes elsewhere", async () => {
    const secrets = holding("");
    const placeholder = placeholderOf(secrets);
    const spellings = [placeholder, placeholder.toUpperCase(), percentAll(placeholder), jsonAll(placeholder), ...aligned(placeholder)];
    for (const spelling of spellings) {
      expect(await secrets.substituteHeaders(["a", "b", "X-Any", `x ${spelling} y`], OTHER)).toMatchObject({
        kind: "refused",
        secret: "TOKEN",
      });
      expect(await secrets.substituteHeaders([spelling, "b"], OWN)).toMatchObject({
        kind: "refused",
        why: expect.stringContaining("name"),
      });
    }
    for (const spelling of spellings.slice(1))
      expect(await secrets.substituteHeaders(["a", spelling], OWN)).toMatchObject({ kind: "refused" });
    expect(await secrets.substituteHeaders(["Host", placeholder], OWN)).toMatchObject({ kind: "refused" });
  });

  it("keeps to the one header and the places of the spec", async () => {
    const secrets = holding(VALUE, spec({ header: "X-Api-Key" }), spec({ name: "BODY", in: ["body"] }));
    const placeholder = placeholderOf(secrets);
    expect(await secrets.substituteHeaders(["x-api-KEY", placeholder], OWN)).toMatchObject({ kind: "replaced" });
    expect(await secrets.substituteHeaders(["Authorization", `Bearer ${placeholder}`], OWN)).toMatchObject({ kind: "refused" });
    expect(await secrets.substituteHeaders(["Authorization", `Basic ${base64(placeholder)}`], OWN)).toMatchObject({ kind: "refused" });
    expect(await secrets.substituteHeaders(["a", placeholderOf(secrets, "BODY")], OWN)).toMatchObject({ kind: "refused", secret: "BODY" });
  });
});
