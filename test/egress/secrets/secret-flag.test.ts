import { inspect } from "node:util";
import { describe, expect, it } from "vitest";
import { parseSecretFlag } from "../../../src/egress/secrets/secret-flag.ts";

const VALUE = "hunter2-hunter2";

function thrownBy(text: string): unknown {
  try {
    return parseSecretFlag(text);
  } catch (thrown) {
    return thrown;
  }
}

describe("parseSecretFlag", () => {
  it.each([
    `TOKEN=${VALUE}@api.example.com`,
    `TOKEN=${VALUE}`,
    `TOKEN=a@b${VALUE}@api.example.com`,
    `TOKEN=ENV:${VALUE}@api.example.com`,
    `TOKEN=https://${VALUE}@api.example.com`,
    `TOKEN=@api.example.com,${VALUE} x`,
    `${VALUE}@api.example.com`,
    `${VALUE} @api.example.com`,
    `=${VALUE}@api.example.com`,
    `TOKEN=env:${VALUE}@api.example.com`,
    `TOKEN=file:x@${VALUE}/`,
    `TOKEN=cmd:x@${VALUE} y`,
  ])("refuses %j, and does not repeat what may be the value", (text) => {
    const thrown = thrownBy(text);
    expect(thrown).toMatchObject({ code: "BAD_SECRET", exitStatus: 64, hint: expect.stringMatching(/NAME|TOKEN|VARIABLE/) });
    expect(inspect(thrown, { depth: 9 })).not.toContain("hunter2");
  });

  it.each([
    "",
    "@",
    "TOKEN",
    "TOKEN@",
    "TOKEN@a,",
    "TOKEN@,a",
    "TOKEN@a b",
    "2X@a",
    "TOKEN=env:@a",
    "TOKEN=file:@a",
    "TOKEN=cmd: @a",
    "A-B@a",
  ])("refuses %j", (text) => {
    expect(thrownBy(text)).toMatchObject({ code: "BAD_SECRET" });
  });

  it.each([
    ["TOKEN@api.example.com", { kind: "env", variable: "TOKEN" }, ["api.example.com"]],
    ["TOKEN@a.example,*.b.example:8443", { kind: "env", variable: "TOKEN" }, ["a.example", "*.b.example:8443"]],
    ["TOKEN=env:OTHER@a", { kind: "env", variable: "OTHER" }, ["a"]],
    ["TOKEN=file:/run/a@b:c=d@a", { kind: "file", path: "/run/a@b:c=d" }, ["a"]],
    ["TOKEN=cmd:pass show me@work | head -1@a", { kind: "cmd", command: "pass show me@work | head -1" }, ["a"]],
  ])("reads %s", (text, from, hosts) => {
    expect(parseSecretFlag(text)).toEqual({ name: "TOKEN", from, hosts });
  });
});
