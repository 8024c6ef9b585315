import { createSocket, type Socket } from "node:dgram";
import { Resolver } from "node:dns/promises";
import { once } from "node:events";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { buildDnsError, buildDnsReply, type DnsAnswer, type DnsQuery, parseDnsQuery } from "../../../src/egress/names/dns-message.ts";

let socket: Socket;
let resolver: Resolver;
let answer: DnsAnswer;
let queries: DnsQuery[];

beforeEach(async () => {
  queries = [];
  socket = createSocket("udp4", (message, from) => {
    const parsed = parseDnsQuery(message);
    if (!("refused" in parsed)) queries.push(parsed);
    const reply = "refused" in parsed ? buildDnsError(parsed) : buildDnsReply(parsed, answer);
    if (reply !== undefined) socket.send(reply, from.port, from.address);
  });
  socket.bind(0, "127.0.0.1");
  await once(socket, "listening");
  resolver = new Resolver({ timeout: 5000, tries: 1 });
  resolver.setServers([`127.0.0.1:${socket.address().port}`]);
});

afterEach(() => {
  socket.close();
});

describe("a resolver that asks over UDP", () => {
  it("gets the address and its TTL", async () => {
    answer = { kind: "address", address: "203.0.113.9", ttl: 77 };
    expect(await resolver.resolve4("Api.Example.com", { ttl: true })).toEqual([{ address: "203.0.113.9", ttl: 77 }]);
    expect(queries).toMatchObject([{ recursionDesired: true, type: 1, class: 1 }]);
    expect(queries[0]?.name?.toLowerCase()).toBe("api.example.com");
  });

  it("gets no IPv6 address of a name that has an IPv4 one", async () => {
    answer = { kind: "address", address: "203.0.113.9", ttl: 77 };
    await expect(resolver.resolve6("api.example.com")).rejects.toMatchObject({ code: "ENODATA" });
    expect(queries.map((query) => query.type)).toEqual([28]);
  });

  it.each([
    ["empty", "ENODATA"],
    ["name-error", "ENOTFOUND"],
    ["refused", "EREFUSED"],
    ["server-failure", "ESERVFAIL"],
  ] as const)("understands %s as %s", async (kind, code) => {
    answer = { kind };
    await expect(resolver.resolve4("api.example.com")).rejects.toMatchObject({ code });
  });

  it("asks for other records in queries that are read", async () => {
    answer = { kind: "empty" };
    const asked = [
      resolver.resolveMx("m.example"),
      resolver.resolveTxt("t.example"),
      resolver.resolveSrv("_a._tcp.example"),
      resolver.reverse("192.0.2.7"),
    ];
    const outcomes = await Promise.allSettled(asked);
    expect(outcomes.map((outcome) => outcome.status)).toEqual(["rejected", "rejected", "rejected", "rejected"]);
    expect(new Map(queries.map((query) => [query.name?.toLowerCase(), query.type]))).toEqual(
      new Map([
        ["m.example", 15],
        ["t.example", 16],
        ["_a._tcp.example", 33],
        ["7.2.0.192.in-addr.arpa", 12],
      ]),
    );
  });
});
