import { type Duplex, duplexPair } from "node:stream";
import { setImmediate } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { createNames, type DeniedName, type NamesOptions } from "../../../src/egress/names/names.ts";
import { compileRules } from "../../../src/egress/rule.ts";
import { parseAllow } from "../../../src/policy/egress-spec.ts";
import { numbers, query, wireName } from "./dns-bytes.ts";

const TYPE = { A: 1, MX: 15, TXT: 16, AAAA: 28 } as const;

async function namesWith({ onDenied = () => undefined, listen = () => Promise.resolve(undefined) }: Partial<NamesOptions>) {
  const rules = await compileRules(parseAllow("origin.test"), () => 0);
  return createNames({ rules, ownNames: ["sandbox"], listen, onDenied });
}

const ask = (name: string, type: number): Buffer => query({ name: wireName(...name.split(".")), type });
const framed = (message: Buffer): Buffer => Buffer.concat([numbers(message.length), message]);

/** The answers of a stream, one after the other, read as slowly as a piece a turn. */
async function readSlowly(stream: Duplex): Promise<readonly Buffer[]> {
  const pieces: Buffer[] = [];
  for await (const piece of stream.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    pieces.push(piece);
    await setImmediate();
  }
  const answers: Buffer[] = [];
  for (let rest = Buffer.concat(pieces); rest.length > 0; rest = rest.subarray(2 + rest.readUInt16BE(0)))
    answers.push(rest.subarray(2, 2 + rest.readUInt16BE(0)));
  return answers;
}

describe("DNS over TCP", () => {
  it("answers no faster than its client reads, and everything that was asked before the client ended", async () => {
    const [client, server] = duplexPair();
    let answered = 0;
    let unread = 0;
    const names = await namesWith({
      onDenied: () => {
        answered += 1;
        if (server.writableNeedDrain) unread += 1;
      },
    });
    const served = names.serve(server);
    const questions = Array.from({ length: 5_000 }, (_, number) => framed(ask(`n${number}.test`, TYPE.A)));
    client.end(Buffer.concat(questions));
    expect(await readSlowly(client)).toHaveLength(5_000);
    await served;
    expect({ answered, unread }).toEqual({ answered: 5_000, unread: 0 });
  });

  it("answers a client that ends its side at once, byte by byte too", async () => {
    const [client, server] = duplexPair();
    const served = (await namesWith({})).serve(server);
    for (const byte of framed(ask("origin.test", TYPE.A))) client.write(Buffer.of(byte));
    client.end();
    const [answer, ...more] = await readSlowly(client);
    expect(answer?.subarray(-4)).toEqual(Buffer.of(127, 64, 0, 1));
    expect(more).toEqual([]);
    await served;
  });

  it.each([
    ["longer than any question", numbers(4_097)],
    ["an answer itself", framed(query({ flags: 0x8100 }))],
  ])("breaks off with a message that is %s", async (_what, bytes) => {
    const [client, server] = duplexPair();
    const served = (await namesWith({})).serve(server);
    client.write(bytes);
    await expect(served).rejects.toThrow("not a question");
    expect(server.destroyed).toBe(true);
    client.destroy();
  });
});

describe("a name that is denied", () => {
  async function attemptsOf(types: readonly number[], name = "denied.test"): Promise<number> {
    let attempts = 0;
    const names = await namesWith({
      onDenied: () => {
        attempts += 1;
      },
    });
    for (const type of types) await names.answer(ask(name, type));
    return attempts;
  }

  it("counts once for a look-up of IPv4 and IPv6 together, in any order", async () => {
    expect(await attemptsOf([TYPE.A, TYPE.AAAA])).toBe(1);
    expect(await attemptsOf([TYPE.AAAA, TYPE.A])).toBe(1);
    expect(await attemptsOf([TYPE.A, TYPE.AAAA, TYPE.A, TYPE.AAAA])).toBe(2);
    expect(await attemptsOf([TYPE.A, TYPE.A, TYPE.AAAA])).toBe(2);
  });

  it("counts for every question of another type, of which nothing is kept", async () => {
    expect(await attemptsOf([TYPE.A, TYPE.AAAA, TYPE.TXT, TYPE.MX, TYPE.TXT])).toBe(4);
    expect(await attemptsOf([TYPE.TXT, TYPE.A, TYPE.AAAA])).toBe(2);
    const every = Array.from({ length: 65_536 }, (_, type) => type);
    expect(await attemptsOf([...every, ...every])).toBe(2 * 65_536 - 2);
  });
});

describe("an allowed name", () => {
  it("whose port something inside listens on already is answered SERVFAIL, and the reason says so", async () => {
    const told: DeniedName[] = [];
    const names = await namesWith({
      listen: ({ port }) => Promise.resolve(port === 80 ? "EADDRINUSE" : undefined),
      onDenied: (denied) => told.push(denied),
    });
    const answer = await names.answer(ask("origin.test", TYPE.A));
    expect((answer?.readUInt16BE(2) ?? 0) & 15).toBe(2);
    expect(told).toEqual([
      { name: "origin.test", port: 80, rule: "origin.test", why: "a program inside listens on port 80 itself (EADDRINUSE)" },
    ]);
  });

  it("that the guest can't listen for says why", async () => {
    const told: string[] = [];
    const names = await namesWith({ listen: () => Promise.resolve("EMFILE"), onDenied: ({ why }) => told.push(why) });
    await names.answer(ask("origin.test", TYPE.A));
    expect(told).toEqual(["nothing can listen on port 443 inside (EMFILE)"]);
  });
});
