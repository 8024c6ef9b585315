import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { connect as connectTls, type TLSSocket } from "node:tls";
import type { EgressEvent } from "../../src/egress/accounts/book.ts";
import { createByteBudget } from "../../src/egress/accounts/byte-budget.ts";
import type { EgressRow } from "../../src/egress/accounts/ledger.ts";
import { createGate } from "../../src/egress/gate.ts";
import { compileRules } from "../../src/egress/rule.ts";
import type { Secrets } from "../../src/egress/secrets/secret.ts";
import { createRunAuthority } from "../../src/identity/run-authority.ts";
import { parseAllow, type RuleSpec } from "../../src/policy/egress-spec.ts";
import { query, readReply, wireName } from "../egress/names/dns-bytes.ts";

/** The gate of a run with the guest's place taken by ports of this machine: whoever connects there is the task. */
export type GateFront = AsyncDisposable & {
  readonly events: readonly EgressEvent[];
  rows(): readonly EgressRow[];
  /** Why things were refused, in turn. */
  denials(): readonly string[];
  /** Looks a name up as the task does; the address of the sandbox's loopback, or `undefined` when the name does not exist. */
  lookUp(name: string): Promise<string | undefined>;
  /** A connection of the task to a port of a name. */
  connect(to: Place): Promise<Socket>;
  /** The same with TLS, which the run's own authority ends. */
  connectTls(to: Place): Promise<TLSSocket>;
};

export type Place = { readonly name: string; readonly port: number };

export type FrontOptions = {
  /** Values of `--allow`. */
  readonly allow: readonly string[];
  /** What a task file would say of each rule. */
  readonly rule?: Partial<RuleSpec>;
  readonly secrets?: Secrets;
};

/** Opens a gate for some names of this machine. Nothing is looked up outside. */
export async function openGateFront({ allow, rule = {}, secrets }: FrontOptions): Promise<GateFront> {
  const specs = allow.flatMap(parseAllow).map((spec) => ({ ...spec, ...rule }));
  const authority = await createRunAuthority({ names: specs.map(({ host }) => host) });
  const events: EgressEvent[] = [];
  const doors = new Map<string, Server>();
  const gate = createGate({
    rules: await compileRules(specs, () => performance.now()),
    secrets,
    learner: undefined,
    ownNames: [],
    listen: async (place) => {
      const door = createServer({ allowHalfOpen: true }, (socket) => {
        gate.onConnection(Object.assign(socket, { target: place }));
      });
      doors.set(`${place.address}:${place.port}`, door);
      await once(door.listen(0, "127.0.0.1"), "listening");
      return undefined;
    },
    resolve: () => Promise.reject(new Error("Nothing is looked up.")),
    authority: () => Promise.resolve(authority),
    roots: () => Promise.resolve(undefined),
    total: createByteBudget(undefined),
    onEvent: (event) => events.push(event),
    onLimit: () => undefined,
  });

  async function lookUp(name: string): Promise<string | undefined> {
    const reply = await gate.onDatagram(query({ name: wireName(...name.split(".")) }));
    const [answer] = reply === undefined ? [] : readReply(reply).answers;
    return answer === undefined ? undefined : [...answer.data].join(".");
  }

  async function open({ name, port }: Place): Promise<Socket> {
    const door = doors.get(`${(await lookUp(name)) ?? ""}:${port}`);
    if (door === undefined) throw new Error(`The gate has no place for ${name}:${port}.`);
    const socket = connect({ port: (door.address() as AddressInfo).port, host: "127.0.0.1", allowHalfOpen: true });
    await once(
      socket.on("error", () => undefined),
      "connect",
    );
    return socket;
  }

  return {
    events,
    rows: () => gate.rows(),
    denials: () => events.flatMap((event) => (event.type === "egress.denied" ? [event.why] : [])),
    lookUp,
    connect: open,
    connectTls: async (to) => {
      const socket = connectTls({ socket: await open(to), servername: to.name, ca: authority.certificate });
      await once(
        socket.on("error", () => undefined),
        "secureConnect",
      );
      return socket;
    },
    async [Symbol.asyncDispose]() {
      gate.close();
      for (const door of doors.values()) {
        door.close();
        await once(door, "close");
      }
    },
  };
}
