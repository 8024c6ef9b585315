import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Arrival, denialsOf, type EgressLab, openEgressLab, PLACES, reasonsOf, type Table } from "../lab/egress-lab.ts";

/** Addresses that are not the Internet's, and what the product calls them. */
const NOT_PUBLIC: Readonly<Record<string, readonly [address: string, meaning: string]>> = {
  "private.test": [PLACES.private, "private"],
  "private172.test": [PLACES.private172, "private"],
  "private192.test": [PLACES.private192, "private"],
  "shared.test": [PLACES.shared, "shared"],
  "unique-local.test": [PLACES.uniqueLocal, "unique-local"],
  "loopback.test": ["127.0.0.1", "loopback"],
  "loopback2.test": ["127.1.2.3", "loopback"],
  "loopback6.test": ["::1", "loopback"],
  "metadata.google.internal": [PLACES.metadata, "metadata"],
  "metadata6.test": [PLACES.metadata6, "metadata"],
  "alibaba.test": [PLACES.alibaba, "metadata"],
  "link-local.test": [PLACES.linkLocal, "link-local"],
  "unspecified.test": ["0.0.0.0", "unspecified"],
  "unspecified6.test": ["::", "unspecified"],
  "benchmarking.test": [PLACES.benchmarking, "benchmarking"],
  "documentation.test": [PLACES.documentation, "documentation"],
  "nat64.test": [PLACES.nat64, "nat64"],
  "six-to-four.test": [PLACES.sixToFour, "6to4"],
  "reserved.test": [PLACES.reserved, "reserved"],
  "mapped.test": ["::ffff:a01:203", "mapped"],
};
const OPENED_BY_ALLOW_PRIVATE = ["private.test", "private172.test", "private192.test", "shared.test", "unique-local.test"];
const PORTS = [80, 7];

/** For each name and port: what comes back, from an echo or from HTTP. */
const REACH = `
import json, socket
from concurrent.futures import ThreadPoolExecutor

def reach(place):
    name, port = place
    data = b"GET / HTTP/1.1\\r\\nHost: %s\\r\\nConnection: close\\r\\n\\r\\n" % name.encode() if port == 80 else b"echo"
    try:
        with socket.create_connection((name, port), 5) as connection:
            connection.settimeout(10)
            connection.sendall(data)
            answer = connection.recv(1000).decode().split("\\r\\n")[0]
            return answer[9:12] if port == 80 else answer or "end"
    except ConnectionResetError:
        return "reset"
    except OSError as error:
        return type(error).__name__

with ThreadPoolExecutor(16) as pool:
    print(json.dumps({f"{name}:{port}": answer for (name, port), answer in zip(PLACES, pool.map(reach, PLACES))}))
`;

let lab: EgressLab;
beforeAll(async () => {
  lab = await openEgressLab();
});
afterAll(() => lab[Symbol.asyncDispose]());

const program = (names: readonly string[], ports: readonly number[] = PORTS): string =>
  `PLACES = ${JSON.stringify(names.flatMap((name) => ports.map((port) => [name, port])))}\n${REACH}`;
const allow = (names: readonly string[], ports: readonly number[] = PORTS): readonly string[] => [
  "--allow",
  names.flatMap((name) => ports.map((port) => `${name}:${port}`)).join(","),
];
/** As the product writes it: an IPv4-mapped one with a dotted end (RFC 5952 5). */
const written = (address: string): string => (address === "::ffff:a01:203" ? "::ffff:10.1.2.3" : address);
const tableOf = (names: Readonly<Record<string, readonly [string, string]>>): Table =>
  Object.fromEntries(Object.entries(names).map(([name, [address]]) => [name, [[address]]]));
const places = (arrivals: readonly Arrival[], kind: Arrival["kind"] = "connection"): readonly string[] =>
  arrivals.flatMap((arrival) => (arrival.kind === kind ? [`${arrival.to}:${arrival.port ?? ""}`] : [])).toSorted();
const forEach = <Value>(names: readonly string[], value: (port: number) => Value): Record<string, Value> =>
  Object.fromEntries(names.flatMap((name) => PORTS.map((port) => [`${name}:${port}`, value(port)])));

describe("an allowed name whose address is not public", () => {
  const names = Object.keys(NOT_PUBLIC);

  it("leads to it without a sandbox", async () => {
    await lab.setNames(tableOf(NOT_PUBLIC));
    const { said } = await lab.outside(program(names));
    expect(said).toEqual(forEach(names, (port) => (port === 80 ? "200" : "echo")));
  });

  it("leads nowhere, and is told of with the address and its class, whatever the protocol", async () => {
    await lab.setNames(tableOf(NOT_PUBLIC));
    const { said, arrivals, events, result } = await lab.inside(program(names), allow(names));
    expect(said).toEqual(forEach(names, (port) => (port === 80 ? "403" : "reset")));
    expect(places(arrivals)).toEqual([]);
    expect(arrivals.filter(({ kind }) => kind === "query").length).toBeGreaterThanOrEqual(names.length);
    const why = Object.entries(NOT_PUBLIC).map(([name, [address, meaning]]) => `${name}: its address ${written(address)} is ${meaning}`);
    expect(reasonsOf(events)).toEqual(why.toSorted());
    expect(denialsOf(result)).toHaveLength(names.length * PORTS.length);
  });

  it("leads to networks of the host's own with --allow-private, and to nothing else", async () => {
    await lab.setNames(tableOf(NOT_PUBLIC));
    const { said, arrivals, result } = await lab.inside(program(names), [...allow(names), "--allow-private"]);
    const others = names.filter((name) => !OPENED_BY_ALLOW_PRIVATE.includes(name));
    expect(said).toEqual({
      ...forEach(OPENED_BY_ALLOW_PRIVATE, (port) => (port === 80 ? "200" : "echo")),
      ...forEach(others, (port) => (port === 80 ? "403" : "reset")),
    });
    const opened = OPENED_BY_ALLOW_PRIVATE.flatMap((name) => PORTS.map((port) => `${NOT_PUBLIC[name]?.[0] ?? ""}:${port}`));
    expect(places(arrivals)).toEqual(opened.toSorted());
    expect(denialsOf(result)).toHaveLength(others.length * PORTS.length);
  });
});

describe("a name whose answers change", () => {
  const CHANGING: Table = {
    "rebinds.test": [[PLACES.public], [PLACES.private]],
    "rebinds-late.test": [[PLACES.public], [PLACES.public], [PLACES.metadata]],
    "mixed.test": [[PLACES.private, PLACES.public, PLACES.metadata, "127.0.0.1"]],
    "mixed6.test": [[PLACES.uniqueLocal, "::1", PLACES.public6, PLACES.metadata6, PLACES.private]],
  };
  const names = Object.keys(CHANGING);
  const thrice = names.flatMap((name) => [name, name, name]);
  /** One after the other, so that answers are asked for in turn. */
  const inTurn = `PLACES = ${JSON.stringify(thrice.map((name) => [name, 7]))}
${REACH.slice(0, REACH.indexOf("with ThreadPool"))}
print(json.dumps([reach(place) for place in PLACES]))`;

  it("leads to what it changes to without a sandbox", async () => {
    await lab.setNames(CHANGING);
    const { said, arrivals } = await lab.outside(inTurn);
    expect(said).toEqual(thrice.map(() => "echo"));
    expect(places(arrivals)).toContain(`${PLACES.private}:7`);
    expect(places(arrivals)).toContain(`${PLACES.metadata}:7`);
  });

  it("is judged anew for each connection, which goes to an address that was judged and to no other", async () => {
    await lab.setNames(CHANGING);
    const { said, arrivals, events } = await lab.inside(inTurn, allow(names, [7]));
    expect(said).toEqual([
      ...["echo", "reset", "reset"],
      ...["echo", "echo", "reset"],
      ...["echo", "echo", "echo"],
      ...["echo", "echo", "echo"],
    ]);
    expect(places(arrivals)).toEqual(
      [...Array<string>(3).fill(`${PLACES.public6}:7`), ...Array<string>(6).fill(`${PLACES.public}:7`)].toSorted(),
    );
    expect(reasonsOf(events)).toEqual([
      `rebinds-late.test: its address ${PLACES.metadata} is metadata`,
      `rebinds.test: its address ${PLACES.private} is private`,
    ]);
  });
});

describe("NAME=ADDR:PORT", () => {
  const FIXED = ["--allow", `db.test=${PLACES.private}:5432,v6.test=[${PLACES.uniqueLocal}]:7`];
  const asked = program(["db.test", "v6.test"], [7, 80, 5432]);

  it("has neighbours to reach without a sandbox", async () => {
    await lab.setNames({ "db.test": [[PLACES.private]], "v6.test": [[PLACES.uniqueLocal]] });
    const { said } = await lab.outside(asked);
    expect(Object.values(said as object)).toEqual(["echo", "200", "echo", "echo", "200", "echo"]);
  });

  it("opens this address and this port for this name, which is never looked up", async () => {
    await lab.setNames({ "db.test": [[PLACES.public]], "v6.test": [[PLACES.public]] });
    const { said, arrivals } = await lab.inside(asked, FIXED);
    expect(said).toEqual({
      "db.test:7": "ConnectionRefusedError",
      "db.test:80": "ConnectionRefusedError",
      "db.test:5432": "echo",
      "v6.test:7": "echo",
      "v6.test:80": "ConnectionRefusedError",
      "v6.test:5432": "ConnectionRefusedError",
    });
    expect(places(arrivals)).toEqual([`${PLACES.private}:5432`, `${PLACES.uniqueLocal}:7`]);
    expect(arrivals.filter(({ kind }) => kind === "query")).toEqual([]);
  });
});
