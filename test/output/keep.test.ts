import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { createKeeper } from "../../src/output/keep.ts";
import { fc } from "../lab/property.ts";

function keep(limit: number, ...chunks: readonly (string | Uint8Array)[]) {
  const keeper = createKeeper(limit);
  for (const chunk of chunks) keeper.write(Buffer.from(chunk));
  return keeper.finish();
}

describe("createKeeper", () => {
  it("keeps everything within its limit as text, with size, digest and label", () => {
    const sha256 = createHash("sha256").update("one two").digest("hex");
    expect(keep(16, "one ", "two")).toEqual({ bytes: 7, sha256, truncated: false, label: "untrusted", text: "one two" });
    expect(keep(16)).toMatchObject({ bytes: 0, truncated: false, text: "" });
  });

  it("keeps the first and last half beyond it, and says how much lay between", () => {
    expect(keep(8, "0123456789", "abcdef")).toMatchObject({ bytes: 16, truncated: true, text: "0123\n[… 8 bytes left out …]\ncdef" });
  });

  it("never cuts a character in two at the gap", () => {
    expect(keep(8, "a€€€€€b")).toMatchObject({ truncated: true, text: "a€\n[… 9 bytes left out …]\n€b" });
  });

  it("gives base64 for what is not UTF-8", () => {
    expect(keep(16, Uint8Array.of(0xff, 0xfe))).toEqual(expect.objectContaining({ base64: "//4=" }));
    expect(keep(16, Uint8Array.of(0xff, 0xfe))).not.toHaveProperty("text");
    const binary = keep(4, Uint8Array.of(0xff, 1, 2, 3, 4, 0xfe));
    expect(Buffer.from("base64" in binary ? binary.base64 : "", "base64").toString("latin1")).toMatch(
      /^\xff\x01\n\[.* 2 bytes left out .*\]\n\x04\xfe$/,
    );
  });

  it("holds the beginning, the end and the digest of any stream in any pieces", () => {
    fc.assert(
      fc.property(
        fc.array(fc.string({ unit: "grapheme-ascii", maxLength: 30 }), { maxLength: 30 }),
        fc.integer({ min: 2, max: 64 }),
        (chunks, limit) => {
          const all = chunks.join("");
          const kept = keep(limit, ...chunks);
          const text = "text" in kept ? kept.text : undefined;
          const [head, tail] = [all.slice(0, Math.ceil(limit / 2)), all.slice(all.length - Math.floor(limit / 2))];
          expect(text).toBe(all.length <= limit ? all : `${head}\n[… ${all.length - limit} bytes left out …]\n${tail}`);
          expect(kept.sha256).toBe(createHash("sha256").update(all).digest("hex"));
        },
      ),
    );
  });

  it("stays small whatever is written, byte by byte too", () => {
    const keeper = createKeeper();
    const before = process.memoryUsage().rss;
    const chunk = Buffer.alloc(65_536, "x");
    for (let written = 0; written < 256; written += 1) keeper.write(chunk);
    for (let written = 0; written < 100_000; written += 1) keeper.write(chunk.subarray(0, 1));
    expect(process.memoryUsage().rss - before).toBeLessThan(64 * 1024 * 1024);
    const kept = keeper.finish();
    expect(kept).toMatchObject({ bytes: 256 * 65_536 + 100_000, truncated: true });
    expect("text" in kept ? kept.text.length : 0).toBeLessThan(1024 * 1024 + 100);
  });
});
