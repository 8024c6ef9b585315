import { describe, expect, it } from "vitest";
import { createSanitiser, sanitiseLine } from "../../src/output/sanitise.ts";
import { fc } from "../lab/property.ts";
import { spentMs } from "../lab/spent-time.ts";

function sanitise(...chunks: readonly (string | readonly number[] | Uint8Array)[]): string {
  const sanitiser = createSanitiser();
  const texts = chunks.map((chunk) => sanitiser.write(typeof chunk === "string" ? Buffer.from(chunk) : Uint8Array.from(chunk)));
  return texts.join("") + sanitiser.end();
}

describe("createSanitiser", () => {
  it("leaves ordinary text of any language alone", () => {
    const text = "plain\ttext\n日本語 עברית العربية हिन्दी é e\u0301 👍🏽 ❤\ufe0f 🇩🇪\n";
    expect(sanitise(text)).toBe(text);
  });

  it("makes CR LF a line feed and shows every other carriage return", () => {
    expect(sanitise("a\r\nb\rc\r\r\nd\r")).toBe("a\nb␍c␍\nd␍");
    expect(sanitise("a\r", "\nb\r", "c")).toBe("a\nb␍c");
  });

  it("shows all of C0 but tab and line feed, and DEL, as control pictures", () => {
    const controls = Array.from({ length: 32 }, (_, code) => code).filter((code) => ![9, 10, 13].includes(code));
    expect(sanitise(controls)).toBe(controls.map((code) => String.fromCharCode(0x2400 + code)).join(""));
    expect(sanitise("\x7f")).toBe("␡");
  });

  it("shows C1 controls, and takes raw C1 bytes for what they are: not UTF-8", () => {
    expect(sanitise("\u009b31m\u009d0;x\u009c")).toBe("<U+009B>31m<U+009D>0;x<U+009C>");
    expect(sanitise([0x9b, 0x33, 0x31, 0x6d])).toBe("\ufffd31m");
  });

  it("shows every character that does not show by itself, and no other", () => {
    const hidden = /[\0-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\ufff9-\ufffb\p{Default_Ignorable_Code_Point}]/u;
    const wrong: number[] = [];
    for (let code = 0; code <= 0x10ffff; code += 1) {
      if (code >= 0xd800 && code <= 0xdfff) continue;
      const character = String.fromCodePoint(code);
      if ((sanitise(character) !== character) !== hidden.test(character)) wrong.push(code);
    }
    expect(wrong).toEqual([]);
  });

  it("leaves of an escape sequence its plain text", () => {
    expect(sanitise("\x1b[31mred\x1b[0m \x1b]0;title\x07 \x1bPq\x1b\\")).toBe("␛[31mred␛[0m ␛]0;title␇ ␛Pq␛\\");
  });

  it.each([
    0xad, 0x34f, 0x61c, 0x115f, 0x180e, 0x200b, 0x200d, 0x200e, 0x2028, 0x2029, 0x202e, 0x2060, 0x2066, 0x2069, 0x3164, 0xfe0f, 0xfeff,
    0xfff9, 0xfffb, 0x1d173, 0xe0001, 0xe0041, 0xe007f, 0xe0100,
  ])("shows the invisible character %i by its number", (code) => {
    const shown = `<U+${code.toString(16).toUpperCase().padStart(4, "0")}>`;
    expect(sanitise(`a${String.fromCodePoint(code)}b`)).toBe(`a${shown}b`);
  });

  it("keeps one variation selector behind a pictograph, also when a chunk ends between them, and shows those that carry something else", () => {
    expect(sanitise("❤", "\ufe0f")).toBe("❤\ufe0f");
    expect(sanitise("❤\ufe0f\ufe0fa\ufe01")).toBe("❤\ufe0f<U+FE0F>a<U+FE01>");
    expect(sanitise("😀\ufe0f", "\ufe0f")).toBe("😀\ufe0f<U+FE0F>");
  });

  it("replaces what is not UTF-8 as the Encoding Standard does", () => {
    const bytes = [0x61, 0xff, 0xc3, 0x28, 0xe2, 0x82, 0x62, 0xed, 0xa0, 0x80, 0xf0, 0x9f, 0x98];
    expect(sanitise(bytes)).toBe(new TextDecoder("utf-8", { ignoreBOM: true }).decode(Uint8Array.from(bytes)));
  });

  it("does not hold back a character that is complete", () => {
    const sanitiser = createSanitiser();
    expect(sanitiser.write(Buffer.from("Continue? [y/n] é"))).toBe("Continue? [y/n] é");
    expect(sanitiser.write(Buffer.from([0xe2, 0x82]))).toBe("");
    expect(sanitiser.write(Buffer.from([0xac]))).toBe("€");
  });

  it("gives the same text however the bytes are cut", () => {
    const pieces = fc.array(
      fc.oneof(
        fc.uint8Array({ maxLength: 6 }),
        fc
          .constantFrom("\r", "\n", "\x1b[2J", "\u009b", "é", "€", "😀", "❤\ufe0f", "\ufe0f", "\u{e0041}", "\u202e", "\ufeff")
          .map((text) => new Uint8Array(Buffer.from(text))),
      ),
      { maxLength: 12 },
    );
    fc.assert(
      fc.property(pieces, fc.array(fc.nat({ max: 40 })), (parts, cuts) => {
        const bytes = Buffer.concat(parts);
        const whole = sanitise(bytes);
        const places = [0, ...cuts.filter((cut) => cut < bytes.length).sort((a, b) => a - b), bytes.length];
        expect(sanitise(...places.slice(1).map((end, index) => bytes.subarray(places[index], end)))).toBe(whole);
        expect(sanitise(...Array.from(bytes, (byte) => [byte]))).toBe(whole);
        expect(whole).not.toMatch(/[\0-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u200b\u{e0000}-\u{e0fff}]/u);
      }),
      { numRuns: 500 },
    );
  });

  it("passes on ten megabytes of ordinary text in a fraction of a second", () => {
    const sanitiser = createSanitiser();
    const chunk = Buffer.from("2026-01-01 INFO wörker 12 did its job – ok\n".repeat(1500));
    const start = process.cpuUsage();
    for (let bytes = 0; bytes < 10_000_000; bytes += chunk.length) sanitiser.write(chunk);
    expect(spentMs(start)).toBeLessThan(1000);
  });
});

describe("sanitiseLine", () => {
  it("keeps a line on one line", () => {
    expect(sanitiseLine("a\nb\tc\r\nd")).toBe("a␊b␉c␍␊d");
  });

  it("shows what a file name, a label or an error text may hide", () => {
    expect(sanitiseLine("\x1b]52;c;eA==\x07 \u202egpj.exe a\u200bb \ud800")).toBe("␛]52;c;eA==␇ <U+202E>gpj.exe a<U+200B>b \ufffd");
    expect(sanitiseLine("plain – ok")).toBe("plain – ok");
  });
});
