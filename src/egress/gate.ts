import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { systemCode } from "../core/errors.ts";
import { type Book, type BookOptions, createBook } from "./accounts/book.ts";
import type { EgressRow } from "./accounts/ledger.ts";
import { createHttpGate } from "./http/http-gate.ts";
import type { Origin } from "./http/request.ts";
import { createUpstream } from "./http/upstream.ts";
import type { Learner } from "./learner.ts";
import { createNames, type Listen } from "./names/names.ts";
import { createDial, type Dial } from "./places/dial.ts";
import type { Resolve } from "./places/resolver.ts";
import { relay } from "./relay.ts";
import { needsInside, type Rule, rulesFor } from "./rule.ts";
import type { Secrets } from "./secrets/secret.ts";
import { tlsAlert } from "./tls/client-hello.ts";
import { type Authority, createInterception } from "./tls/interception.ts";
import { type Opening, readOpening } from "./tls/opening.ts";

/** One connection of the task, and the address of its own loopback that it went to. */
export type TaskConnection = Duplex & { readonly target: { readonly address: string; readonly port: number } };

export type GateOptions = BookOptions & {
  readonly rules: readonly Rule[];
  readonly secrets: Secrets | undefined;
  /** Learns what is used, which takes a look inside of TLS. */
  readonly learner: Learner | undefined;
  /** Names of the sandbox itself, beside `localhost`. */
  readonly ownNames: readonly string[];
  readonly listen: Listen;
  readonly resolve: Resolve;
  /** Makes the run's authority, when the first connection has to be looked into. */
  readonly authority: () => Promise<Authority>;
  /** PEM certificates that servers' chains may end in; `undefined` for those of Node.js. */
  readonly roots: () => Promise<readonly string[] | undefined>;
};

/** Decides about everything that the task sends, and carries what is allowed. */
export type Gate = {
  onDatagram(message: Buffer): Promise<Buffer | undefined>;
  onConnection(connection: TaskConnection): void;
  rows(): readonly EgressRow[];
  readonly bytesOut: () => number;
  /** Breaks off what is still under way. */
  close(): void;
};

const RESOLVER = { address: "127.0.0.1", port: 53 };
const HTTPS = 443;
const HTTP = 80;

export function createGate(options: GateOptions): Gate {
  const { rules } = options;
  const closing = new AbortController();
  const book = createBook(options);
  const names = createNames({
    rules,
    ownNames: options.ownNames,
    listen: options.listen,
    onDenied: ({ name, port, rule, why }) => book.deny({ host: name, port: port ?? null, rule: rule ?? null, why }),
  });
  const dial = tellingOfResets(createDial(options.resolve, closing.signal), book);
  const http = createHttpGate({ upstream: createUpstream(dial, options.roots), book, secrets: options.secrets, learner: options.learner });
  const interception = createInterception(options.authority);
  const open = new Set<Duplex>();

  async function serve(connection: TaskConnection): Promise<void> {
    const { address, port } = connection.target;
    if (address === RESOLVER.address && port === RESOLVER.port) return names.serve(connection);
    const name = names.nameAt(address);
    const allowing = name === undefined ? [] : rulesFor(rules, { name, port });
    const [rule] = allowing;
    if (name === undefined || rule === undefined) return void connection.destroy();
    const use = { host: name, port, rule };
    if (!rule.connections.take(1)) return void refuse(book, connection, { ...use, why: "the rule's connections are used up" });
    book.open(use);
    const mustSpeak = port === HTTPS || port === HTTP || allowing.some(needsInside) || options.secrets?.concerns(name) === true;
    const opening = await readOpening(connection, { mustSpeak });
    if (mustSpeak && opening.kind === "ended" && opening.head.length === 0) return void connection.destroy();
    const looksInside = allowing.some(needsInside) || looksAnyway(options, { name, port, opening });
    const origin: Origin = { name, port, secure: opening.kind === "tls", rules: allowing };
    const why = whyNot(opening, { origin, looksInside });
    if (why !== undefined) return void refuse(book, connection, { ...use, why, isTls: opening.kind === "tls" });
    if (opening.kind === "http") return void http.accept(connection, origin);
    if (opening.kind === "tls" && looksInside) return void http.accept(await interception.accept(connection, name), origin);
    return carry(connection, origin, opening.kind === "ended" ? opening.head : undefined);
  }

  /** Bytes that nobody has to understand: TLS that ends at the origin, and every other protocol. */
  async function carry(connection: Duplex, { name, port, rules: allowing }: Origin, head: Buffer | undefined): Promise<void> {
    const [rule] = allowing;
    if (rule === undefined || connection.destroyed) return void connection.destroy();
    const use = { host: name, port, rule };
    options.learner?.connection(use);
    const dialled = await dial({ name, port, rules: allowing });
    if ("failure" in dialled) {
      book.fail(use, dialled.failure);
      return void connection.destroy();
    }
    relay(connection, dialled.socket, { meter: book.meter(use), head });
  }

  return {
    onDatagram: (message) => names.answer(message).catch(() => undefined),
    onConnection: (connection) => {
      open.add(connection);
      connection.once("close", () => open.delete(connection)).on("error", () => undefined);
      serve(connection).catch(() => connection.destroy());
    },
    rows: () => book.rows(),
    bytesOut: book.bytesOut,
    close: () => {
      closing.abort();
      http.close();
      for (const connection of open) connection.destroy();
    },
  };
}

/** A connection that its origin breaks off is broken off inside too; why, only the result can say. */
function tellingOfResets(dial: Dial, book: Book): Dial {
  return async (to) => {
    const dialled = await dial(to);
    const [rule] = to.rules;
    if ("failure" in dialled || rule === undefined) return dialled;
    const { socket } = dialled;
    socket.once("error", (error) => {
      if (systemCode(error) !== "ECONNRESET" || owesNothing(socket)) return;
      book.fail({ host: to.name, port: to.port, rule }, { kind: "failed", why: "it broke a connection off" });
    });
    return dialled;
  };
}

/** One that had said all it had to say, or that answered a task which has left: PostgreSQL does not read the alert that ends TLS, which is a reset for TCP. */
function owesNothing(socket: Socket): boolean {
  return socket.readableEnded || (socket.writableEnded && socket.bytesRead > 0);
}

type Begun = { readonly name: string; readonly port: number; readonly opening: Opening };

/** Secrets must not pass unseen where HTTP is spoken, nor anything else that is to be learnt. */
function looksAnyway({ secrets, learner }: GateOptions, { name, port, opening }: Begun): boolean {
  if (learner !== undefined && opening.kind === "tls") return true;
  return secrets !== undefined && (port === HTTPS || port === HTTP || secrets.concerns(name));
}

/** Why a connection to an allowed place is refused all the same, once it has shown how it begins. */
function whyNot(opening: Opening, { origin, looksInside }: { readonly origin: Origin; readonly looksInside: boolean }): string | undefined {
  if (opening.kind === "refused") return opening.why;
  if (opening.kind === "tls") {
    if (opening.serverName === origin.name) return undefined;
    return opening.serverName === undefined ? "its TLS names no server" : `its TLS names the server ${opening.serverName}`;
  }
  if (origin.port === HTTPS) return "it does not speak TLS";
  if (opening.kind === "http") return undefined;
  if (origin.port === HTTP || looksInside) return "it does not speak HTTP";
  return undefined;
}

type Refused = { readonly host: string; readonly port: number; readonly rule: Rule; readonly why: string; readonly isTls?: boolean };

/** The task's program learns at once, in a way that it understands. */
function refuse(book: Book, connection: Duplex, { host, port, rule, why, isTls }: Refused): void {
  book.deny({ host, port, rule: rule.text, why });
  if (isTls !== true || !connection.writable) return void connection.destroy();
  connection.end(tlsAlert("unrecognized_name"), () => connection.destroy());
}
