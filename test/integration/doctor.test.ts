import { describe, expect, it } from "vitest";
import type { Finding } from "../../src/engine/judge-host.ts";
import { runCli } from "../lab/cli.ts";

describe("doctor", () => {
  it("says a line for each finding, what to do below it, and what all of it means", async () => {
    const { status, stdout } = await runCli(["doctor"]);
    const lines = stdout.trimEnd().split("\n");
    expect(lines.at(-1)).toMatch(status === 0 ? /^(Every promise|Sandboxes can run)/ : /^Not every promise/);
    for (const line of lines.slice(0, -1)) expect(line).toMatch(/^(?:(?:ok {2}|note|warn|fail) {2}[\w ]+: | {6}[A-Z].*\.$)/);
  });

  it("gives the same as JSON, with no remedy where nothing has to be done", async () => {
    const { status, stdout } = await runCli(["doctor", "--json"]);
    const { engine, findings } = JSON.parse(stdout) as {
      readonly engine: { readonly name: string };
      readonly findings: readonly Finding[];
    };
    expect(findings.find(({ name }) => name === "engine")?.detail).toContain(engine.name);
    for (const { status: judged, remedy } of findings) expect(remedy === "").toBe(judged === "ok" || judged === "note");
    expect(status).toBe(findings.some(({ status: judged }) => judged === "fail") ? 69 : 0);
  });
});
