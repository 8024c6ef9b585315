import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { hostname, networkInterfaces } from "node:os";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startCli } from "../lab/cli.ts";
import { type Arrival, type EgressLab, openEgressLab, PLACES, reasonsOf } from "../lab/egress-lab.ts";
import { dockerCli } from "../lab/engine-api.ts";
import { TEST_IMAGES } from "../lab/images.ts";
import { runJson } from "../lab/run-json.ts";

let lab: EgressLab;
beforeAll(async () => {
  lab = await openEgressLab();
});
afterAll(() => lab[Symbol.asyncDispose]());

type Outcomes = Readonly<Record<string, string>>;

describe("a connection without a name", () => {
  const IPV4 = [PLACES.public, PLACES.private, PLACES.metadata];
  const TRIED = [...IPV4, PLACES.public6, PLACES.uniqueLocal];
  const ways = readFileSync(fileURLToPath(new URL("../lab/programs/egress-direct.py", import.meta.url)), "utf8");
  const program = `PLACES = ${JSON.stringify(TRIED)}\nDNS_SERVERS = ${JSON.stringify([PLACES.public])}\n${ways}`;
  /** What the kernel of the lab's network has counted: nobody listens for pings. */
  const PINGS = `import json
rows = [line.split() for line in open("/proc/net/snmp") if line.startswith("Icmp:")]
print(json.dumps(int(dict(zip(*rows))["InEchos"])))`;
  const pings = async (): Promise<number> => Number((await lab.outside(PINGS)).said);
  const arrivedAt = (arrivals: readonly Arrival[]): readonly string[] => [
    ...new Set(arrivals.map(({ kind, to, port }) => `${kind} at ${to}${port === undefined ? "" : `:${port}`}`)),
  ];

  it("arrives without a sandbox, by TCP, UDP, QUIC, DNS, ICMP, raw packets and frames", async () => {
    await lab.setNames({});
    const before = await pings();
    const { said, arrivals } = await lab.outside(program);
    expect(Object.entries(said as Outcomes).filter(([, outcome]) => outcome !== "arrived")).toEqual([]);
    expect(arrivedAt(arrivals)).toEqual(
      expect.arrayContaining([
        ...TRIED.flatMap((address) => [80, 443, 53].map((port) => `connection at ${address}:${port}`)),
        ...TRIED.flatMap((address) => [7, 443].map((port) => `datagram at ${address}:${port}`)),
        `query at ${PLACES.public}`,
      ]),
    );
    expect((await pings()) - before).toBe(2 * IPV4.length);
  });

  it("has no way out of a sandbox: it fails at once, and nothing arrives", async () => {
    await lab.setNames({ "origin.test": [[PLACES.public]] });
    const before = await pings();
    const { said, arrivals, result } = await lab.inside(program, ["--allow", "origin.test"]);
    const outcomes = said as Outcomes;
    const privileged = IPV4.flatMap((address) => [`ping to ${address}`, `a raw packet to ${address}`]);
    expect(outcomes).toEqual({
      ...Object.fromEntries(Object.keys(outcomes).map((way) => [way, "ENETUNREACH"])),
      ...Object.fromEntries(privileged.map((way) => [way, "EPERM"])),
      "a frame to 127.0.0.1": "EAFNOSUPPORT",
    });
    expect(Object.keys(outcomes)).toHaveLength(6 * TRIED.length + 3 * IPV4.length + 2);
    expect(arrivals).toEqual([]);
    expect(result.egress).toEqual([]);
    expect((await pings()) - before).toBe(0);
  });
});

describe("the sandbox's own loopback", () => {
  const PORTS = [7, 53, 80, 443, 2375, 5432];
  /** The resolver, addresses that names get, and other ways to write this machine; before and after a name has one. */
  const program = `
import errno, json, socket
def reach(address, port):
    try:
        with socket.create_connection((address, port), 5):
            return "open"
    except OSError as error:
        return errno.errorcode[error.errno]
def reached():
    places = [(address, port) for address in ["127.0.0.1", "127.64.0.1", "127.64.0.2", "127.1.2.3", "0.0.0.0", "::1"] for port in ${JSON.stringify(PORTS)}]
    return [f"{address}:{port}" for address, port in places if reach(address, port) == "open"]
before = reached()
try:
    address = socket.gethostbyname("origin.test")
except OSError as error:
    address = str(error)
print(json.dumps({"before": before, "address": address, "after": reached()}))
`;

  it("leads to all that listens there without a sandbox", async () => {
    await lab.setNames({ "origin.test": [[PLACES.public]] });
    const { before } = (await lab.outside(program)).said as { readonly before: readonly string[] };
    expect(before).toEqual(
      expect.arrayContaining(PORTS.flatMap((port) => [`127.0.0.1:${port}`, `127.64.0.1:${port}`, `[::1]:${port}`.replace(/[[\]]/g, "")])),
    );
  });

  it("has the resolver and the names that were asked for, and nothing else", async () => {
    await lab.setNames({ "origin.test": [[PLACES.public]] });
    const { said } = await lab.inside(program, ["--allow", "origin.test"]);
    const resolver = ["127.0.0.1:53", "0.0.0.0:53"];
    expect(said).toEqual({
      before: resolver,
      address: "127.64.0.1",
      after: ["127.0.0.1:53", "127.64.0.1:80", "127.64.0.1:443", "0.0.0.0:53"],
    });
  });
});

describe("the machine of the engine", () => {
  /** Tries each address and name with one port; the names stand for the machine or its gateway in one product or another. */
  const program = (places: readonly string[], port: number): string => `
import json, socket
def reach(place):
    try:
        with socket.create_connection((place, ${port}), 5) as connection:
            return connection.recv(100).decode()
    except OSError as error:
        return type(error).__name__
print(json.dumps({place: reach(place) for place in ${JSON.stringify(places)}}))
`;
  const NAMES = ["host.docker.internal", "gateway.docker.internal", "host.containers.internal", hostname()];

  it("is reached by any container in its network, at every address, and by none from a sandbox", async () => {
    const from: string[] = [];
    await using server = createServer((socket) => {
      from.push(socket.localAddress ?? "");
      socket.on("error", () => undefined).end("the host");
    });
    server.listen(0, "::");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    // Link-local addresses need the number of an interface, which means something to one network only.
    const own = Object.values(networkInterfaces()).flatMap((all = []) => all.map(({ address }) => address));
    const addresses = own.filter((address) => !address.startsWith("fe80:"));
    const image = ["--entrypoint", "python3", TEST_IMAGES.debian, "-c"];
    const control = await dockerCli(["run", "--rm", "--network=host", ...image, program(addresses, port)]);
    expect(JSON.parse(control)).toEqual(Object.fromEntries(addresses.map((address) => [address, "the host"])));
    expect(from.splice(0)).toHaveLength(addresses.length);

    const { said, events, arrivals } = await lab.inside(program([...addresses, ...NAMES], port), ["--allow", `origin.test:${port}`]);
    const isLoopback = (address: string): boolean => address.startsWith("127.") || address === "::1";
    expect(said).toEqual({
      ...Object.fromEntries(addresses.map((address) => [address, isLoopback(address) ? "ConnectionRefusedError" : "OSError"])),
      ...Object.fromEntries(NAMES.map((name) => [name, "gaierror"])),
    });
    expect(from).toEqual([]);
    expect(arrivals).toEqual([]);
    expect(reasonsOf(events)).toEqual(NAMES.map((name) => `${name}: no rule allows it`).toSorted());
  });

  it("has no route that a sandbox could see: neither a gateway nor an interface but loopback", async () => {
    const read = "cat /proc/net/route /proc/net/arp; ls /sys/class/net; grep -vc ' lo$' /proc/net/ipv6_route";
    const { result } = await runJson(["--", "sh", "-c", read]);
    const [routes, arp, ...rest] = (result.stdout.text ?? "").trim().split("\n");
    expect([routes?.split("\t")[0], arp?.split(" ")[0], ...rest]).toEqual(["Iface", "IP", "lo", "0"]);
  });
});

describe("another sandbox", () => {
  /** Listens on every address and on a name in the abstract namespace, and says who came. */
  const LISTEN = `
import select, socket, sys
everywhere = socket.create_server(("::", 8080), family=socket.AF_INET6, dualstack_ipv6=True)
abstract = socket.socket(socket.AF_UNIX)
abstract.bind("\\0sandbox-test")
abstract.listen()
print("listening", flush=True)
while True:
    for ready in select.select([everywhere, abstract, sys.stdin], [], [])[0]:
        if ready is sys.stdin:
            sys.exit()
        ready.accept()[0].close()
        print("someone came", flush=True)
`;
  const CONNECT = `
import json, socket, sys
def reach(place):
    try:
        if isinstance(place, str):
            socket.socket(socket.AF_UNIX).connect(place)
        else:
            socket.create_connection(place, 5).close()
        return "arrived"
    except OSError as error:
        return type(error).__name__
print(json.dumps([reach(place) for place in ["\\0sandbox-test", *[(address, 8080) for address in sys.argv[1:]]]]))
`;

  it("is reached by a container that is put into its network, and neither by address nor by name from a sandbox", async () => {
    const who = `who=${randomUUID()}`;
    const other = startCli([
      "run",
      "-i",
      "--image",
      TEST_IMAGES.debian,
      "--hostname",
      "other",
      "--label",
      who,
      "--",
      "python3",
      "-c",
      LISTEN,
    ]);
    await other.waitFor("listening");
    const listed = await dockerCli(["ps", "--format", "{{.Names}} {{.ID}}", "--filter", `label=${who}`]);
    const [container = "", id = ""] = listed.trim().split(" ");
    const image = ["--entrypoint", "python3", TEST_IMAGES.debian, "-c", CONNECT];
    const control = await dockerCli(["run", "--rm", `--network=container:${container}`, ...image, "127.0.0.1", "::1"]);
    expect(JSON.parse(control)).toEqual(["arrived", "arrived", "arrived"]);
    await other.waitFor("someone came\nsomeone came\nsomeone came\n");

    const places = ["127.0.0.1", "::1", "172.17.0.2", "10.88.0.2", container, id, "other"];
    const { result } = await runJson(["--image", TEST_IMAGES.debian, "--", "python3", "-c", CONNECT, ...places]);
    expect(JSON.parse(result.stdout.text ?? "")).toEqual([
      ...["ConnectionRefusedError", "ConnectionRefusedError", "ConnectionRefusedError"],
      ...["OSError", "OSError", "gaierror", "gaierror", "gaierror"],
    ]);
    other.child.stdin.end();
    expect((await other.done).stdout).toBe(`listening\n${"someone came\n".repeat(3)}`);
  });
});

describe("the product itself", () => {
  const ESTABLISHED = "01";

  /** The IP sockets of a process, read where the kernel writes them down. */
  function socketsOf(pid: number): readonly { readonly place: string; readonly isConnected: boolean }[] {
    const inodes = new Set(
      readdirSync(`/proc/${pid}/fd`).flatMap((fd) => /^socket:\[(\d+)\]$/.exec(linkOf(`/proc/${pid}/fd/${fd}`))?.[1] ?? []),
    );
    const rows = ["tcp", "tcp6", "udp", "udp6"].flatMap((table) => readFileSync(`/proc/${pid}/net/${table}`, "utf8").split("\n").slice(1));
    return rows
      .map((row) => row.trim().split(/\s+/))
      .flatMap(([, place = "", , state, , , , , , inode = ""]) =>
        inodes.has(inode) ? [{ place, isConnected: state === ESTABLISHED }] : [],
      );
  }

  function linkOf(path: string): string {
    try {
      return readlinkSync(path);
    } catch {
      return "";
    }
  }

  it("listens on no port while a connection and a look-up are under way, so that there is none to reach", async () => {
    await using server = createServer();
    server.listen(0);
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    const listening = { place: expect.stringMatching(new RegExp(`:${port.toString(16).padStart(4, "0")}$`, "i")), isConnected: false };
    expect(socketsOf(process.pid)).toContainEqual(listening);

    await lab.setNames({ "origin.test": [[PLACES.public]] });
    const hold = `import socket, sys
connection = socket.create_connection(("origin.test", 7))
connection.sendall(b"echo")
print(connection.recv(4).decode(), flush=True)
sys.stdin.readline()`;
    const cli = lab.start(["run", "-i", "--image", TEST_IMAGES.debian, "--allow", "origin.test:7", "--", "python3", "-c", hold]);
    await cli.waitFor("echo");
    expect(socketsOf(cli.pid).map(({ isConnected }) => isConnected)).toEqual([true]);
    cli.child.stdin.end("\n");
    expect((await cli.done).status).toBe(0);
  });
});
