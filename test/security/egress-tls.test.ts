import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Arrival, type EgressLab, type LabRun, openEgressLab, PLACES, reasonsOf, type Table } from "../lab/egress-lab.ts";

const NAMES: Table = { "origin.test": [[PLACES.public]], "other.test": [[PLACES.other]], "denied.test": [[PLACES.other]] };
const PROGRAM = readFileSync(fileURLToPath(new URL("../lab/programs/egress-tls.py", import.meta.url)), "utf8");

/** TLS in which the client names the server that it connected to, however its bytes come. The origin's own certificate is what it gets. */
const CARRIED: Readonly<Record<string, string>> = {
  "the name": "reached",
  "upper case": "reached",
  "a whole hello": "handshake",
  "one byte at a time": "handshake",
  "many records": "handshake",
};

/** What the origin, which holds several names, takes as well. */
const TAKEN_OUTSIDE: Readonly<Record<string, string>> = {
  ...CARRIED,
  "another name": "reached",
  "another allowed name": "reached",
  "a longer name": "reached",
  "a subdomain": "reached",
  "no name": "reached",
  "an address": "reached",
  "another name in many records": "handshake",
  "another name one byte at a time": "handshake",
  "a hello that never ends": "silence",
  "no bytes": "silence",
};

const REFUSED: Readonly<Record<string, string>> = {
  "another name": "TLSV1_UNRECOGNIZED_NAME",
  "another allowed name": "TLSV1_UNRECOGNIZED_NAME",
  "a longer name": "TLSV1_UNRECOGNIZED_NAME",
  "a subdomain": "TLSV1_UNRECOGNIZED_NAME",
  "no name": "TLSV1_UNRECOGNIZED_NAME",
  "an address": "TLSV1_UNRECOGNIZED_NAME",
  "another name in many records": "alert",
  "another name one byte at a time": "alert",
  "a hello that never ends": "reset",
  "no bytes": "reset",
  "plain HTTP": "reset",
  SSH: "reset",
  "other bytes": "reset",
  "SSL 2": "reset",
  "an alert": "reset",
};

let lab: EgressLab;
beforeAll(async () => {
  lab = await openEgressLab();
});
afterAll(() => lab[Symbol.asyncDispose]());

const programOf = (patience: number): string => `AUTHORITY = ${JSON.stringify(lab.certificate)}\nPATIENCE = ${patience}\n${PROGRAM}`;
const named = (arrivals: readonly Arrival[]): readonly string[] => [
  ...new Set(arrivals.flatMap(({ kind, serverName }) => (kind === "tls" ? [String(serverName).toLowerCase()] : []))),
];

describe("connections to port 443", () => {
  let ran: Promise<LabRun> | undefined;

  async function inSandbox(): Promise<LabRun> {
    ran ??= lab.setNames(NAMES).then(() => lab.inside(programOf(25), ["--allow", "origin.test,other.test"]));
    return ran;
  }

  it("reach any name of the origin without a sandbox", async () => {
    await lab.setNames(NAMES);
    const { said, arrivals } = await lab.outside(programOf(2));
    expect(said).toMatchObject(TAKEN_OUTSIDE);
    expect(named(arrivals)).toContain("denied.test");
  });

  it("are carried where they name the host that they are for, and refused otherwise, in the way of TLS where it is TLS", async () => {
    const { "two hellos": _, ...said } = (await inSandbox()).said as Record<string, string>;
    expect(said).toEqual({ ...CARRIED, ...REFUSED });
  });

  it("reach the origin under its own name alone", async () => {
    const { arrivals } = await inSandbox();
    expect(named(arrivals)).toEqual(["origin.test"]);
    const connected = arrivals.filter(({ kind }) => kind === "connection").map(({ to, port }) => `${to}:${port ?? ""}`);
    expect([...new Set(connected)]).toEqual([`${PLACES.public}:443`]);
    // One more for what follows a good hello, which the origin itself has to refuse.
    expect(connected).toHaveLength(Object.keys(CARRIED).length + 1);
  });

  it("are told of when they are refused: each reason as an event, and all in the result", async () => {
    const { events, result } = await inSandbox();
    expect(reasonsOf(events)).toEqual([
      "origin.test: it did not finish its first message",
      "origin.test: it does not speak TLS",
      "origin.test: its TLS names no server",
      "origin.test: its TLS names the server denied.test",
      "origin.test: its TLS names the server origin.test.denied.test",
      "origin.test: its TLS names the server other.test",
      "origin.test: its TLS names the server www.origin.test",
    ]);
    expect(result.egress.find(({ decision }) => decision === "denied")).toMatchObject({
      host: "origin.test",
      port: 443,
      rule: "origin.test",
      connections: Object.keys(REFUSED).length,
      bytesOut: 0,
    });
  });
});
