import { inspect } from "node:util";
import { describe, expect, it } from "vitest";
import { createSecrets } from "../../../src/egress/secrets/secret.ts";
import { aligned, holding, host, jsonAll, OWN, percentAll, placeholderOf, spec, VALUE } from "./secrets-under-test.ts";

describe("createSecrets", () => {
  it("shows a value to nobody who looks at the object", async () => {
    const secrets = holding(VALUE);
    await secrets.substituteHeaders(["x-key", placeholderOf(secrets)], OWN);
    const shown = [
      inspect(secrets, { showHidden: true, depth: 9 }),
      JSON.stringify(secrets),
      JSON.stringify({ ...secrets, toJSON: undefined }),
    ];
    expect(shown.slice(0, 2)).toEqual(["[secret]", '"[secret]"']);
    for (const text of shown) expect(text).not.toContain("value~~");
    expect(inspect(Object.entries(secrets), { showHidden: true, depth: 9, customInspect: false })).not.toContain("value~~");
  });

  it.each(["A", "TOKEN", "_x9", `L${"o".repeat(120)}ng`])("gives %s a placeholder that needs no escape anywhere", (name) => {
    const [one, two] = [holding(VALUE, spec({ name })), holding(VALUE, spec({ name }))].map((secrets) => placeholderOf(secrets, name));
    expect(one).toMatch(/^sbx-secret-[A-Za-z0-9_]{1,24}-[0-9a-f]{32}$/);
    expect(one?.length).toBeLessThan(80);
    expect(one).not.toBe(two);
  });

  it.each([
    [[spec({ name: "hunter2!" })]],
    [[spec(), spec()]],
    [[spec({ hosts: [] })]],
    [[spec({ in: [] })]],
    [[spec({ header: "x y" })]],
    [[spec({ header: "x", in: ["body"] })]],
    [[spec({ from: { kind: "env", variable: "hunter2!" } })]],
    [[spec({ from: { kind: "file", path: "" } })]],
    [[spec({ from: { kind: "cmd", command: " " } })]],
  ])("refuses specs that can't be meant (%#)", (specs) => {
    expect(() => holding(VALUE, ...specs)).toThrow(
      expect.objectContaining({ code: "BAD_SECRET", exitStatus: 64, message: expect.not.stringContaining("hunter2") }),
    );
  });
});

describe("a value", () => {
  it("is read at first use, kept, and read again when asked", async () => {
    const answers = ["first-value\n", "second-value\r\n", "second-value"];
    let runs = 0;
    const secrets = createSecrets([spec({ from: { kind: "cmd", command: "show it" } })], {
      readEnv: () => undefined,
      readFile: (path) => Promise.reject(new Error(path)),
      runCommand: (command) => {
        expect(command).toBe("show it");
        return Promise.resolve(answers[runs++] ?? "");
      },
    });
    const send = async (): Promise<string | undefined> => {
      const sent = await secrets.substituteHeaders(["x", placeholderOf(secrets)], OWN);
      return sent.kind === "replaced" ? sent.rawHeaders[1] : sent.kind;
    };
    expect(runs).toBe(0);
    expect([await send(), await send(), runs]).toEqual(["first-value", "first-value", 1]);
    expect(await Promise.all([secrets.refresh("TOKEN"), secrets.refresh("TOKEN")])).toEqual([true, true]);
    expect([await send(), runs]).toEqual(["second-value", 2]);
    expect(await secrets.refresh("TOKEN")).toBe(false);
    expect(secrets.scrubText("first-value second-value")).toBe(`${placeholderOf(secrets)} ${placeholderOf(secrets)}`);
    await expect(secrets.refresh("NOBODY")).rejects.toMatchObject({ code: "BAD_SECRET" });
  });

  it("that can't be had is an error which says where it should come from, and nothing that the source said", async () => {
    const said = Object.assign(new Error("hunter2 is wrong"), { code: "ENOENT", stderr: "hunter2" });
    const sources = { readEnv: () => undefined, readFile: () => Promise.reject(said), runCommand: () => Promise.reject(said) };
    const cases = [
      [{ kind: "env", variable: "HERE" }, "HERE"],
      [{ kind: "file", path: "/run/token" }, "/run/token"],
      [{ kind: "cmd", command: "echo hunter2" }, "its command"],
    ] as const;
    for (const [from, where] of cases) {
      const secrets = createSecrets([spec({ from })], sources);
      const thrown: unknown = await secrets.refresh("TOKEN").catch((reason: unknown) => reason);
      expect(thrown).toMatchObject({ code: "SECRET_UNAVAILABLE", exitStatus: 69, message: expect.stringContaining(where) });
      expect(inspect(thrown, { depth: 9 }).replaceAll(/\n\s+at .*/g, "")).not.toContain("hunter2");
    }
  });

  it.each(["", "x".repeat(16_385)])("that is empty or very long is refused (%#)", async (value) => {
    await expect(holding(value).refresh("TOKEN")).rejects.toMatchObject({ code: "SECRET_UNAVAILABLE" });
  });
});

describe("a request target with a placeholder", () => {
  const secrets = holding(VALUE, spec({ hosts: [host(OWN)] }));
  const placeholder = placeholderOf(secrets);
  it.each([
    ["plain", `/x?key=${placeholder}`],
    ["in lower case, as host names are", `${placeholder.toLowerCase()}.example.com`],
    ["percent-encoded", `/x?key=${percentAll(placeholder)}`],
    ["percent-encoded in part", `/x?key=${placeholder.replace("s", "%73")}`],
    ["percent-encoded twice", `/x?key=${percentAll(placeholder).replaceAll("%", "%25")}`],
    ["JSON-escaped", `/x?q=${jsonAll(placeholder)}`],
    ...aligned(placeholder).map((text, index) => [`in base64 behind ${index}`, `/x?key=${encodeURIComponent(text)}`]),
  ])("is refused: %s", (_how, target) => {
    expect(secrets.judgeTarget(target)).toMatchObject({ kind: "refused", secret: "TOKEN" });
  });

  it("is the only one refused", () => {
    expect(secrets.judgeTarget("/v1/things?q=sbx-secret-TOKEN-0123%zz%&b=c")).toEqual({ kind: "clean" });
  });
});
