import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Arrival, type EgressLab, type LabRun, openEgressLab, PLACES, reasonsOf, type Table } from "../lab/egress-lab.ts";

const NAMES: Table = {
  "origin.test": [[PLACES.public]],
  "other.test": [[PLACES.other]],
  "denied.test": [[PLACES.other]],
};
const FLAGS = ["--allow", "origin.test,other.test"];

/** Requests that mean the same to every reader, and the target that the origin gets. */
const SERVED: Readonly<Record<string, string>> = {
  "a request": "/control",
  "a body with a length": "/length",
  "a body in chunks": "/chunks",
  "the absolute form": "/absolute",
  "a second request with another Host": "/first",
  "600 headers": "/flood",
  "an upgrade to HTTP/2": "/h2c",
  "a length that Connection names": "/named-length",
  "a Host that Connection names": "/named-host",
};

/** What an origin would take, and the sandbox must not pass on. */
const HARMFUL_OUTSIDE = [
  ...["a length and chunks", "chunks and a length", "a space before the colon", "bare LF", "a folded header", "two Hosts"],
  ...[
    "another Host",
    "an allowed Host of another name",
    "a Host with a user",
    "two names in one Host",
    "another host in the absolute form",
  ],
  ...["another Host than the absolute form", "a head of 200 KiB", "HTTP/0.9"],
];

let lab: EgressLab;
beforeAll(async () => {
  lab = await openEgressLab();
});
afterAll(() => lab[Symbol.asyncDispose]());

type Statuses = Readonly<Record<string, readonly string[]>>;

const requests = (arrivals: readonly Arrival[]): readonly Arrival[] => arrivals.filter(({ kind }) => kind === "request");

describe("requests to port 80", () => {
  const program = readFileSync(fileURLToPath(new URL("../lab/programs/egress-http.py", import.meta.url)), "utf8");
  let ran: Promise<LabRun> | undefined;

  async function inSandbox(): Promise<LabRun> {
    ran ??= lab.setNames(NAMES).then(() => lab.inside(program, FLAGS));
    return ran;
  }

  it("do harm without a sandbox: the origin reads what a gate would not have seen", async () => {
    await lab.setNames(NAMES);
    const outside = await lab.outside(program);
    const statuses = outside.said as Statuses;
    expect(HARMFUL_OUTSIDE.filter((name) => statuses[name]?.[0] !== "200")).toEqual([]);
    expect(requests(outside.arrivals).filter(({ target }) => target === "/smuggled").length).toBeGreaterThanOrEqual(4);
  });

  it("are answered where every reader takes them for the same", async () => {
    const statuses = (await inSandbox()).said as Statuses;
    const served = Object.keys(SERVED).map((name) => [name, statuses[name]?.[0]]);
    expect(served).toEqual(Object.keys(SERVED).map((name) => [name, "200"]));
  });

  it("are refused at once in every other form", async () => {
    const statuses = (await inSandbox()).said as Statuses;
    const others = Object.entries(statuses).filter(([name]) => SERVED[name] === undefined);
    expect(others.length).toBeGreaterThan(35);
    expect(others.filter(([, [first = ""]]) => !["400", "403", "reset"].includes(first))).toEqual([]);
    expect(statuses["a second request with another Host"]).toEqual(["200", "403"]);
  });

  it("reach the origin with its own Host alone, and nothing hides in another's body", async () => {
    const arrived = requests((await inSandbox()).arrivals);
    expect(arrived.map(({ target }) => target).toSorted()).toEqual(Object.values(SERVED).toSorted());
    expect([...new Set(arrived.map(({ host, to }) => `${host ?? ""} at ${to}`))]).toEqual([`origin.test at ${PLACES.public}`]);
    const headers = arrived.flatMap(({ headers: raw = [] }) => raw.map((word) => word.toLowerCase()));
    expect(headers.filter((word) => ["upgrade", "proxy-connection", "te"].includes(word))).toEqual([]);
  });

  it("are told of when they are refused: each reason as an event, and all in the result", async () => {
    const inside = await inSandbox();
    const reasons = reasonsOf(inside.events);
    expect(reasons).toContain('origin.test: its Host is "denied.test", not origin.test');
    expect(reasons).toContain("origin.test: its target names another host");
    expect(reasons).toContain("origin.test: it asks for a tunnel");
    expect(reasons).toContain("origin.test: it wants to change the protocol");
    expect(reasons).toContain("origin.test: its HTTP can't be read: HPE_HEADER_OVERFLOW");
    expect(reasons).toContain("origin.test: it does not speak HTTP");
    const told = inside.events.filter(({ type }) => type === "egress.denied").length;
    const counted = inside.result.egress.filter(({ decision }) => decision === "denied").map(({ connections }) => connections);
    expect(counted.reduce((sum, count) => sum + count, 0)).toBe(told);
  });
});

describe("a redirect to a denied host", () => {
  const FOLLOW = `
import json, urllib.request
try:
    said = urllib.request.urlopen("http://origin.test/redirects", timeout=10).read().decode()
except OSError as error:
    said = str(error)
print(json.dumps(said))
`;

  it("leads there without a sandbox", async () => {
    await lab.setNames(NAMES);
    expect((await lab.outside(FOLLOW)).said).toBe("reached denied.test 0\n");
  });

  it("leads nowhere: the name is refused, told of and never looked up", async () => {
    await lab.setNames(NAMES);
    const { said, arrivals, events } = await lab.inside(FOLLOW, FLAGS);
    expect(said).toContain("Name or service not known");
    expect(requests(arrivals).map(({ target }) => target)).toEqual(["/redirects"]);
    expect(arrivals.filter(({ name }) => name === "denied.test")).toEqual([]);
    expect(reasonsOf(events)).toEqual(["denied.test: no rule allows it"]);
  });
});

describe("connections that are slow", () => {
  /** Heads and bodies that stop half-way, and an answer that never comes; then a whole request and a line of output, while all of them are open. */
  const SLOW = `
import socket, sys, urllib.request
BEGINNINGS = [b"G", b"GET / HTTP/1.1\\r\\nHost: origin.test\\r\\nA: ", b"POST / HTTP/1.1\\r\\nHost: origin.test\\r\\nContent-Length: 9\\r\\n\\r\\nhalf",
    b"POST / HTTP/1.1\\r\\nHost: origin.test\\r\\nTransfer-Encoding: chunked\\r\\n\\r\\n5\\r\\nha", b"GET /silent HTTP/1.1\\r\\nHost: origin.test\\r\\n\\r\\n"]
slow = [socket.create_connection(("origin.test", 80)) for _ in range(20) for _ in BEGINNINGS]
for number, connection in enumerate(slow):
    connection.sendall(BEGINNINGS[number % len(BEGINNINGS)])
print(urllib.request.urlopen("http://origin.test/quick", timeout=10).read().decode(), flush=True)
sys.stdin.readline()
for connection in slow:
    connection.setblocking(False)
    try:
        connection.recv(1)
        print("one ended")
    except BlockingIOError:
        pass
print("all were open")
`;

  it("hold up neither another one nor the command's output", async () => {
    await lab.setNames(NAMES);
    const cli = lab.start(["run", "-i", "--image", "sandbox/base", ...FLAGS, "--", "python3", "-c", SLOW]);
    await cli.waitFor("reached origin.test 0");
    cli.child.stdin.end("go on\n");
    const { status, stdout } = await cli.done;
    expect(stdout).toBe("reached origin.test 0\n\nall were open\n");
    expect(status).toBe(0);
    expect(requests(await lab.arrivals()).filter(({ target }) => target === "/silent")).toHaveLength(20);
  });
});
