import { describe, expect, it } from "vitest";
import { SandboxError } from "../../../src/core/errors.ts";
import { at } from "../../../src/policy/file/fault.ts";
import { MAX_TASK_FILE, readTaskFile } from "../../../src/policy/file/read-task-file.ts";
import { faultOf, inRule, inSecret, top } from "./files.ts";

describe("a task file is refused for", () => {
  it.each<readonly [what: string, text: string, place: string, says: RegExp]>([
    ["nothing in it", "", "1:1", /the file is empty/],
    ["comments only", "# later\n", "1:1", /the file is empty/],
    ["an empty document", "---\n", "1:4", /nothing stands where keys belong/],
    ["invisible characters in a text at the top", "\u00a0\u2028", "1:1", /"\u00a0\\u2028" stands where keys belong/],
    ["a list at the top", "- version: 1\n", "1:1", /a list stands where keys belong/],
    ["a text at the top", "version 1\n", "1:1", /"version 1" stands where keys belong/],
    ["no version", "egress: []\n", "1:1", /key version: it is missing/],
    ["an unknown version", "version: 2\n", "1:10", /key version: this version of the format is not known/],
    ["a version in quotes", 'version: "1"\n', "1:10", /key version: this version/],
    ["a version that is spelled as another number", "version: 0x1\n", "1:10", /key version: this version/],
    ["a version with a fraction", "version: 1.0\n", "1:10", /key version: this version/],

    ["a tab as indentation", "version: 1\negress:\n\t- host: x\n", "3:1", /holds a tab/],
    ["a tab in a comment", "version: 1 #\tone\n", "1:13", /holds a tab/],
    ["a NUL", "version: 1\n# \0\n", "2:3", /holds a NUL/],
    ["a byte order mark", "\ufeffversion: 1\n", "1:1", /begins with a byte order mark/],
    ["a byte order mark inside", "version: 1\n\ufeff", "2:1", /invisible character U\+FEFF/],
    ["bytes that were not UTF-8", "version: 1\n# caf\ufffd\n", "2:6", /not UTF-8/],
    ["a lone surrogate", "version: 1\n# \ud800\n", "2:3", /not UTF-8/],
    ["a mark that turns the direction of reading", "version: 1\n# \u202e\n", "2:3", /U\+202E/],
    ["an escape sequence of a terminal", "version: 1\n# \u001b[2J\n", "2:3", /U\+001B/],
    ["a carriage return without a line feed", "version: 1 # a\regress: []\n", "1:15", /U\+000D/],

    ["a bracket that is not closed", "version: 1\negress: [\n", "3:1", /not YAML: /],
    ["a quote that is not closed", 'version: 1\negress: [{ host: "x }]\n', "3:1", /not YAML: /],
    ["a line that is no key", "version: 1\negress\n", "2:1", /not YAML: /],
    ["two keys on a line", "version: 1\nsandbox: image: x\n", "2:10", /not YAML: nested mappings/],
    ["an unknown escape", top('egress: [{ host: "\\q" }]'), "2:19", /not YAML: invalid escape/],
    ["a bracket too many", "version: 1\negress: []]\n", "2:11", /not YAML: /],
    ["an anchor", top("egress: &all []"), "2:9", /anchors/],
    ["an anchor before a key", "&top version: 1\n", "1:1", /anchors/],
    ["an alias", top("egress: *all"), "2:9", /aliases/],
    ["a star that should be a text", inRule("host: *.example.com"), "2:18", /aliases.*\n.*quote/],
    ["a tag of the schema", top("egress: !!seq []"), "2:9", /tags/],
    ["a tag of its own", top("egress: !include rules.yaml"), "2:9", /tags/],
    ["a tag that makes a text of a number", inRule("host: !!str 5"), "2:18", /tags/],
    ["a merge key", inRule("<<: { deny: true }, host: x"), "2:12", /egress\[0\]\.<<: it is a merge key/],
    ["a directive", "%YAML 1.1\n---\nversion: 1\n", "1:1", /directives/],
    ["a second document", "version: 1\n---\negress: []\n", "2:1", /a second document begins/],
    ["a second document after an end mark", "version: 1\n...\nversion: 1\n", "3:1", /a second document begins/],

    ["an unknown key", "version: 1\nnetwork: none\n", "2:1", /key network: it is not a key.*\n.*version, sandbox, egress, secrets/],
    ["a misspelled key", "version: 1\negres: []\n", "2:1", /key egres: it is not a key.*\nWrite egress,/],
    ["a key of the language below", "version: 1\n__proto__: {}\n", "2:1", /key __proto__: it is not a key/],
    ["an empty key", 'version: 1\n"": {}\n', "2:1", /key "": it is not a key/],
    ["a key that stands twice", "version: 1\negress: []\nversion: 1\n", "3:1", /key version: it stands twice/],
    ["a key that stands twice in other words", 'version: 1\n"version": 1\n', "2:1", /key version: it stands twice/],
    ["a number as a key", "version: 1\n1: x\n", "2:1", /the number 1 stands where a key belongs/],
    ["a list as a key", "version: 1\n[a]: x\n", "2:1", /a list stands where a key belongs/],
    ...["task", "inputs", "tools", "forbid", "approve", "verify", "limits", "audit"].map(
      (key) =>
        [`the key ${key} of a later version`, top(`${key}: {}`), "2:1", new RegExp(`key ${key}: .*this version does not read`)] as const,
    ),

    ["egress without a value", top("egress:"), "2:8", /key egress: nothing stands where a list belongs/],
    ["egress as a map", top("egress: { host: x }"), "2:9", /key egress: a map stands where a list belongs/],
    ["a rule that is a word", top("egress: [example.com]"), "2:10", /key egress\[0\]: "example.com" stands where keys belong/],
    ["a rule that is empty", top("egress: [{}]"), "2:10", /key egress\[0\]\.host: it is missing/],
    ["a second rule without host", top("egress:\n  - host: a\n  - port: 5"), "4:5", /key egress\[1\]\.host: it is missing/],
    ["an unknown key of a rule", inRule("host: x, max-bytes: 1m"), "2:21", /egress\[0\]\.max-bytes: .*\nWrite maxBytes,/],
    ["a known key in another case", inRule("host: x, Methods: [GET]"), "2:21", /egress\[0\]\.Methods: .*\nWrite methods,/],
    ["a number as host", inRule("host: 127"), "2:18", /the number 127 stands where a text belongs\.\nWrite "127" in quotes/],
    ["a fraction as host", inRule("host: 10.5"), "2:18", /the number 10\.5 stands/],
    ["a truth as host", inRule("host: true"), "2:18", /the word true stands where a text belongs/],
    ["no host behind the colon", inRule("host: , deny: true"), "2:18", /egress\[0\]\.host: nothing stands where a text belongs/],
    ["an empty host", inRule("host: ''"), "2:18", /egress\[0\]\.host: the text is empty/],
    ["a list of hosts", inRule("host: [x, y]"), "2:18", /a list stands where a text belongs/],
    ["a host with a NUL by escape", inRule('host: "x\\0"'), "2:18", /"x\\u0000" holds an invisible character/],
    ["a host with a line break", top("egress:\n  - host: |\n      x\n"), "3:11", /"x\\n" holds a line break/],
    ["deny: yes, which is a text", inRule("host: x, deny: yes"), "2:27", /egress\[0\]\.deny: "yes" stands where true or false belongs/],
    ["deny: 1", inRule("host: x, deny: 1"), "2:27", /the number 1 stands where true or false belongs/],
    ["private in quotes", inRule('host: x, private: "false"'), "2:30", /egress\[0\]\.private: "false" stands/],
    ["port 0", inRule("host: x, port: 0"), "2:27", /the number 0 is not a whole number from 1 to 65535/],
    ["port 65536", inRule("host: x, port: 65536"), "2:27", /the number 65536 is not a whole number/],
    ["a negative port", inRule("host: x, port: -1"), "2:27", /the number -1 is not/],
    ["a port with a fraction", inRule("host: x, port: 443.0"), "2:27", /the number 443\.0 is not/],
    ["a port that is octal to some", inRule("host: x, port: 0443"), "2:27", /the number 0443 is not/],
    ["a hexadecimal port", inRule("host: x, port: 0x1bb"), "2:27", /the number 0x1bb is not/],
    ["a port in quotes", inRule('host: x, port: "443"'), "2:27", /"443" is not a whole number/],
    ["several ports as one", inRule("host: x, port: [80, 443]"), "2:27", /a list is not a whole number/],
    ["one bad port of several", inRule("host: x, ports: [443, 70000]"), "2:34", /egress\[0\]\.ports\[1\]: the number 70000/],
    ["no ports", inRule("host: x, ports: []"), "2:28", /egress\[0\]\.ports: the list is empty/],
    ["port and ports", inRule("host: x, ports: [80], port: 443"), "2:34", /egress\[0\]\.port: .*one of port and ports/],
    ["an address that is a name", inRule("host: x, address: db.internal"), "2:30", /"db.internal" is not an IP address/],
    ["an address with a zone", inRule('host: x, address: "fe80::1%eth0"'), "2:30", /is not an IP address/],
    ["an address with a leading zero", inRule("host: x, address: 010.0.0.5"), "2:30", /is not an IP address/],
    ["no methods", inRule("host: x, methods: []"), "2:30", /egress\[0\]\.methods: the list is empty/],
    ["methods without a value", inRule("host: x, methods: "), "2:31", /egress\[0\]\.methods: nothing stands where a list belongs/],
    ["one method without a list", inRule("host: x, methods: GET"), "2:30", /"GET" stands where a list belongs/],
    ["a method in lower case", inRule("host: x, methods: [GET, post]"), "2:36", /methods\[1\]: "post" is not an HTTP method in upper case/],
    ["a star as method", inRule('host: x, methods: ["*"]'), "2:31", /"\*" is not an HTTP method/],
    ["a number as method", inRule("host: x, methods: [1]"), "2:31", /the number 1 stands where a text belongs/],
    ["no paths", inRule("host: x, paths: []"), "2:28", /egress\[0\]\.paths: the list is empty/],
    ["an empty path", inRule('host: x, paths: [/, ""]'), "2:32", /egress\[0\]\.paths\[1\]: the text is empty/],
    ["a rate without unit", inRule("host: x, rate: 30"), "2:27", /egress\[0\]\.rate: the number 30 stands where a text belongs/],
    ["no burst at all", inRule("host: x, burst: 0"), "2:28", /egress\[0\]\.burst: the number 0 is not/],
    ["a size without unit", inRule("host: x, maxBytes: 4096"), "2:31", /egress\[0\]\.maxBytes: the number 4096 is not a size/],
    ["a size of nothing", inRule("host: x, maxBytes: 0m"), "2:31", /"0m" is not a size/],
    ["a size that is a map", inRule("host: x, maxBytes: {}"), "2:31", /a map is not a size/],
    ["connections without end", inRule("host: x, maxConnections: .inf"), "2:37", /the number \.inf is not a whole number/],
    ["an unknown upgrade", inRule("host: x, upgrade: h2c"), "2:30", /"h2c" is not a protocol/],
    ["no upgrade", inRule("host: x, upgrade: []"), "2:30", /egress\[0\]\.upgrade: the list is empty/],
    ["an upgrade that is true", inRule("host: x, upgrade: true"), "2:30", /the word true stands where a text belongs/],
    ["an empty path of a certificate", inRule('host: x, ca: " "'), "2:25", /egress\[0\]\.ca: the text is empty/],

    ["methods of what is denied", inRule("host: x, deny: true, methods: [GET]"), "2:33", /egress\[0\]\.methods: .*denies.*\n.*deny/],
    ["paths of what is denied, before it is", inRule('host: x, paths: ["/a"], deny: true'), "2:21", /egress\[0\]\.paths: .*denies/],
    ...["rate: 1/s", "maxBytes: 1m", "maxConnections: 2", "upgrade: websocket", "ca: x", "address: 10.0.0.5", "private: false"].map(
      (key) =>
        [`${key} of what is denied`, inRule(`host: x, deny: true, ${key}`), "2:33", new RegExp(`${key.split(":")[0]}: .*denies`)] as const,
    ),
    ["a burst of what is denied", inRule("host: x, deny: true, rate: 1/s, burst: 2"), "2:33", /egress\[0\]\.rate: .*denies/],
    ["a burst without a rate", inRule("host: x, burst: 5"), "2:21", /egress\[0\]\.burst: .*no rate.*\n.*rate: 30\/m/],

    ["secrets as a list", top("secrets: []"), "2:10", /key secrets: a list stands where keys belong/],
    ["a secret that is a word", top("secrets: { A: env:A }"), "2:15", /key secrets\.A: "env:A" stands where keys belong/],
    [
      "a secret with a bad name",
      top("secrets: { 1A: { from: env:A, hosts: [x] } }"),
      "2:12",
      /secrets\.1A: .*not a name of an environment/,
    ],
    [
      "a secret that stands twice",
      top("secrets:\n  A: { from: a, hosts: [x] }\n  A: { from: b, hosts: [y] }"),
      "4:3",
      /secrets\.A: it stands twice/,
    ],
    ["a secret from nowhere", inSecret("hosts: [x]"), "2:15", /secrets\.A\.from: it is missing/],
    ["a secret for nobody", inSecret("from: env:A"), "2:15", /secrets\.A\.hosts: it is missing/],
    ["a secret for an empty list", inSecret("from: env:A, hosts: []"), "2:37", /secrets\.A\.hosts: the list is empty/],
    ["a secret for one host without a list", inSecret("from: env:A, hosts: x"), "2:37", /"x" stands where a list belongs/],
    ["a header with a space", inSecret("from: a, hosts: [x], header: X Y"), "2:46", /"X Y" is not the name of a header/],
    ["an unknown part of a request", inSecret("from: a, hosts: [x], in: [query]"), "2:43", /secrets\.A\.in\[0\]: "query" is not a part/],
    ["no part of a request", inSecret("from: a, hosts: [x], in: []"), "2:42", /secrets\.A\.in: the list is empty/],
    ["an unknown key of a secret", inSecret("from: a, host: [x]"), "2:26", /secrets\.A\.host: .*\nWrite hosts,/],

    ["sandbox without a value", top("sandbox:"), "2:9", /key sandbox: nothing stands where keys belong/],
    ["an unknown setting", top("sandbox: { net: host }"), "2:12", /key sandbox\.net: it is not a key/],
    ["memory without unit", top("sandbox: { memory: 512 }"), "2:20", /sandbox\.memory: the number 512 stands where a text belongs/],
    ["an image that is a number", top("sandbox: { image: 3.20 }"), "2:19", /the number 3\.20 stands where a text belongs/],
    ["CPUs as a list", top("sandbox: { cpus: [1] }"), "2:18", /sandbox\.cpus: a list stands/],
  ])("%s", (_what, text, place, says) => {
    const error = faultOf(text);
    expect(error.message.startsWith(`dir/task.yaml:${place}: `), error.message).toBe(true);
    expect(`${error.message}\n${error.hint}`).toMatch(says);
    expect([error.code, error.exitStatus]).toEqual(["BAD_TASK_FILE", 64]);
    expect(error.message.slice(0, -1)).not.toMatch(/[.\n]$|\n/);
  });

  it("being larger than 1 MiB, in bytes", () => {
    const comment = "é".repeat(MAX_TASK_FILE / 2 - 10);
    expect(readTaskFile(`version: 1\n#${comment}`, "f").version).toBe(1);
    expect(faultOf(`version: 1\n#${comment}ééééé`).message).toBe("dir/task.yaml:1:1: the file is larger than 1 MiB.");
  });
});

describe("of several faults the first in the file is reported", () => {
  it.each([
    ["an unknown key before a syntax error", "version: 1\nnope: 1\negress: [\n", "2:1"],
    ["a syntax error before an unknown key", "version: 1\negress: []]\nnope: 1\n", "2:11"],
    ["a bad value before an anchor", top("egress: [{ host: 5, paths: &a [x] }]"), "2:18"],
    ["an anchor before a bad value", top("egress: [{ host: &a x, deny: 5 }]"), "2:18"],
    ["a bad value before a tab", "version: 2\n\tx\n", "1:10"],
    ["a bad value before a missing key of the same rule", inRule("deny: 5"), "2:18"],
    ["a bad value before a key that a later deny makes void", inRule("host: x, methods: [GET], rate: 5, deny: true"), "2:43"],
    ["a bad value before a burst without a rate", inRule("host: x, burst: 5, methods: 5"), "2:40"],
    ["a missing key of a rule before a bad value of the next", top("egress: [{}, { host: 5 }]"), "2:10"],
    ["a bad rule before the missing version", "egress: [{ host: 5 }]\n", "1:18"],
    ["a secret before a rule that stands below it", top("secrets: []\negress: {}"), "2:10"],
  ])("%s", (_what, text, place) => {
    expect(faultOf(text).message).toContain(`task.yaml:${place}: `);
  });
});

describe("a task file is read", () => {
  it("with all it may hold", () => {
    const text = [
      "---",
      "version: 1 # of the format",
      "sandbox:",
      "  image: alpine:3.20",
      "  cpus: 0.50",
      "  memory: 512m",
      '  pids: "256"',
      "  user: 1000:1000",
      "egress:",
      '  - { host: api.example.com, methods: [GET, M-SEARCH], paths: ["/v1/**"], rate: 30/m, burst: 5 }',
      "  - host: db.internal",
      "    port: 5432",
      "    address: 10.0.0.5",
      "  - { host: x, ports: [8080, 443], maxBytes: 1.5k, maxConnections: 2 }",
      "  - { host: x, deny: true }",
      '  - { host: "*.y", private: true, upgrade: websocket, ca: ./ca.pem, address: "fd00::5" }',
      "  - { host: z, deny: false, upgrade: [websocket] }",
      "secrets:",
      "  PAY_KEY: { from: env:PAY_KEY, hosts: [pay.internal], header: Authorization, in: [body] }",
      "  OTHER: { from: file:./key, hosts: [a, b] }",
      "...",
    ].join("\r\n");
    const rule = { deny: false, private: false, ports: [443, 80] };
    expect(readTaskFile(text, "f")).toEqual({
      version: 1,
      sandbox: {
        image: { text: "alpine:3.20", where: { line: 4, column: 10 } },
        cpus: { text: "0.50", where: { line: 5, column: 9 } },
        memory: { text: "512m", where: { line: 6, column: 11 } },
        pids: { text: "256", where: { line: 7, column: 9 } },
        user: { text: "1000:1000", where: { line: 8, column: 9 } },
      },
      egress: [
        {
          ...rule,
          host: "api.example.com",
          methods: ["GET", "M-SEARCH"],
          paths: ["/v1/**"],
          rate: "30/m",
          burst: 5,
          where: { line: 10, column: 5 },
        },
        { ...rule, host: "db.internal", ports: [5432], address: "10.0.0.5", where: { line: 11, column: 5 } },
        { ...rule, host: "x", ports: [8080, 443], maxBytes: 1536, maxConnections: 2, where: { line: 14, column: 5 } },
        { ...rule, host: "x", deny: true, ports: [], where: { line: 15, column: 5 } },
        {
          ...rule,
          host: "*.y",
          private: true,
          upgrade: ["websocket"],
          ca: "./ca.pem",
          address: "fd00::5",
          where: { line: 16, column: 5 },
        },
        { ...rule, host: "z", upgrade: ["websocket"], where: { line: 17, column: 5 } },
      ],
      secrets: [
        {
          name: "PAY_KEY",
          from: "env:PAY_KEY",
          hosts: ["pay.internal"],
          header: "Authorization",
          in: ["body"],
          where: { line: 19, column: 3 },
        },
        { name: "OTHER", from: "file:./key", hosts: ["a", "b"], in: ["header"], where: { line: 20, column: 3 } },
      ],
    });
  });

  it.each([
    ["the least", "version: 1"],
    ["an explicit empty list", "version: 1\negress: []\n"],
    ["empty maps", "{ version: 1, sandbox: {}, secrets: {} }"],
    ["keys in quotes and with a question mark", '? "version"\n: 1\n'],
  ])("with nothing allowed: %s", (_what, text) => {
    expect(readTaskFile(text, "f")).toEqual({ version: 1, sandbox: {}, egress: [], secrets: [] });
  });

  it.each(["no", "off", "null-host", "1.2.3.4", "2001-01-01", "12:30:45", "1_000"])("with %s as the text it is in YAML 1.2", (host) => {
    expect(readTaskFile(inRule(`host: ${host}`), "f").egress[0]?.host).toBe(host);
  });

  it("with more block texts, comments and keys than may be nested", () => {
    const rules = Array.from(
      { length: 200 },
      (_, index) => `  # ${index}\n  - host: >-\n      h${index}\n    deny: true\n${" ".repeat(200)}# far\n`,
    );
    expect(readTaskFile(top(`egress:\n${rules.join("")}`), "f").egress).toHaveLength(200);
  });
});

it("the place of a rule goes in front of what others say about it", () => {
  const error = at("task.yaml", { line: 3, column: 5 }, new SandboxError("BAD_HOST", "x is no host.", "Write one."));
  expect(error.report()).toEqual({ code: "BAD_HOST", message: "task.yaml:3:5: x is no host.", hint: "Write one." });
});
