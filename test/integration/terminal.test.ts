import { describe, expect, it } from "vitest";
import { inTerminal } from "../lab/terminal.ts";

describe("a command with -it", () => {
  it("has a terminal of the caller's size, which follows the caller's", async () => {
    const { status, shown } = await inTerminal(
      ["-it", "--", "sh", "-c", "stty size; trap 'stty size; exit 5' WINCH; echo ready; while :; do sleep 1; done"],
      [{ wait: "30 100" }, { wait: "ready" }, { resize: [50, 120] }],
    );
    expect(shown).toContain("50 120");
    expect(status).toBe(5);
  });

  it("reads what is typed, and ^C reaches it as a signal instead of ending the run", async () => {
    const { status, shown } = await inTerminal(
      ["-it", "--", "sh", "-c", 'trap "echo caught" INT; echo name?; read name; echo "hello $name"; read more; echo over; exit 3'],
      [{ wait: "name?" }, { type: "Ada\n" }, { wait: "hello Ada" }, { type: "\u0003" }, { wait: "caught" }, { type: "x\n" }],
    );
    expect(shown).toContain("over");
    expect(status).toBe(3);
  });

  it("ends when the terminal's end of file is typed", async () => {
    const { status, shown } = await inTerminal(
      ["-it", "--", "sh", "-c", "echo ready; cat; echo done"],
      [{ wait: "ready" }, { type: "\u0004" }],
    );
    expect(shown).toContain("done");
    expect(status).toBe(0);
  });

  it("can move the cursor, since that is what a terminal is for", async () => {
    const { shown } = await inTerminal(["-t", "--", "printf", "\\033[31mred\\033[0m"]);
    expect(shown).toContain("\u001b[31mred\u001b[0m");
  });
});

describe("a command without -t whose output reaches a terminal", () => {
  it("can't act on it: control sequences are shown instead", async () => {
    const { shown } = await inTerminal(["--", "printf", "\\033]0;owned\\007\\033[2Jx\\n"]);
    expect(shown).not.toContain("\u001b]0;");
    expect(shown).not.toContain("\u001b[2J");
    expect(shown).toContain("]0;owned");
  });

  it("can with --raw", async () => {
    const { shown } = await inTerminal(["--raw", "--", "printf", "\\033]0;owned\\007"]);
    expect(shown).toContain("\u001b]0;owned\u0007");
  });

  it("can't through an error text either", async () => {
    const { shown } = await inTerminal(["--", "\u001b]0;owned\u0007"]);
    expect(shown).toContain("NOT_FOUND");
    expect(shown).not.toContain("\u001b]0;");
  });
});
