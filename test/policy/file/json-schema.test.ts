import { Ajv2020 } from "ajv/dist/2020.js";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { taskFileJsonSchema } from "../../../src/policy/file/keys.ts";
import { readTaskFile } from "../../../src/policy/file/read-task-file.ts";
import { faultOf, inRule, inSecret, top } from "./files.ts";

describe("the JSON Schema of a task file", () => {
  const validate = new Ajv2020().compile(taskFileJsonSchema());

  it.each([
    top("egress: []"),
    top("sandbox: { cpus: 0.5, pids: 256, user: 1000, image: alpine, memory: 512m }"),
    inRule('host: api.example.com, methods: [GET], paths: ["/v1/**"], rate: 30/m, burst: 5'),
    inRule("host: x, port: 5432, address: 10.0.0.5, private: true, ca: ./ca.pem"),
    inRule("host: x, ports: [8080, 443], maxBytes: 1m, maxConnections: 2"),
    inRule("host: x, upgrade: websocket"),
    inRule("host: x, upgrade: [websocket], deny: false"),
    inRule("host: x, port: 80, deny: true"),
    inSecret("from: env:A, hosts: [x], header: Authorization, in: [body, header]"),
  ])("takes what is read: %j", (text) => {
    expect(readTaskFile(text, "f").version).toBe(1);
    expect([validate(parse(text)), validate.errors]).toEqual([true, null]);
  });

  it.each([
    "{}",
    "version: 2",
    top("task: x"),
    top("egress: {}"),
    top("egress: [{}]"),
    inRule("host: 5"),
    inRule("host: x, nope: 1"),
    inRule("host: x, port: 70000"),
    inRule("host: x, port: 1, ports: [2]"),
    inRule("host: x, methods: []"),
    inRule("host: x, methods: [get]"),
    inRule("host: x, upgrade: h2c"),
    inRule("host: x, deny: true, methods: [GET]"),
    inRule("host: x, rate: 5/s, deny: true"),
    inRule("host: x, burst: 5"),
    inSecret("from: env:A"),
    inSecret("from: env:A, hosts: [x], in: [query]"),
    top("secrets: { 1A: { from: a, hosts: [x] } }"),
    top("sandbox: { memory: 512 }"),
  ])("refuses what is refused: %j", (text) => {
    expect(faultOf(text).code).toBe("BAD_TASK_FILE");
    expect(validate(parse(text))).toBe(false);
  });
});
