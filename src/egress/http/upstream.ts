import { Agent, type AgentOptions, type ClientRequest, type RequestOptions, request } from "node:http";
import type { Duplex } from "node:stream";
import { connect as connectTls, createSecureContext, type SecureContext } from "node:tls";
import type { Dial, DialFailure } from "../places/dial.ts";
import type { Origin } from "./request.ts";

/** An upstream connection that did not come about. */
export class UpstreamError extends Error {
  override readonly name = "UpstreamError";
  readonly failure: DialFailure;

  constructor(failure: DialFailure) {
    super(failure.why);
    this.failure = failure;
  }
}

/** Sends requests to origins over connections that are kept for the next one. */
export type Upstream = {
  request(origin: Origin, options: { readonly method: string; readonly path: string; readonly headers: readonly string[] }): ClientRequest;
  /** A connection of its own, with TLS where the origin has it. Rejects with `UpstreamError`. */
  connect(origin: Origin): Promise<Duplex>;
  close(): void;
};

const IDLE_MS = 30_000;
const TLS_MS = 10_000;

/** `roots` are the PEM certificates that servers' chains may end in, in place of those of Node.js. */
export function createUpstream(dial: Dial, roots: () => Promise<readonly string[] | undefined>): Upstream {
  const agents = new Map<string, Agent>();
  const trusting = new Map<string | undefined, Promise<SecureContext>>();

  /** A bundle is parsed once: that of a distribution takes longer than a handshake. */
  function contextFor(ownCa: string | undefined): Promise<SecureContext> {
    const known = trusting.get(ownCa) ?? trust(ownCa);
    trusting.set(ownCa, known);
    return known;
  }

  async function trust(ownCa: string | undefined): Promise<SecureContext> {
    const ca = ownCa ?? (await roots());
    if (ca === undefined) return createSecureContext();
    return createSecureContext({ ca: typeof ca === "string" ? ca : [...ca] });
  }

  async function connect(origin: Origin): Promise<Duplex> {
    const secureContext = origin.secure ? await contextFor(origin.rules.find((rule) => rule.ca !== undefined)?.ca) : undefined;
    const dialled = await dial(origin);
    if ("failure" in dialled) throw new UpstreamError(dialled.failure);
    if (secureContext === undefined) return dialled.socket;
    return secured(connectTls({ socket: dialled.socket, servername: origin.name, ALPNProtocols: ["http/1.1"], secureContext }));
  }

  /** One for each origin: its connections are never another's. */
  function agentOf(origin: Origin): Agent {
    const key = `${origin.secure ? "https" : "http"}://${origin.name}:${origin.port}`;
    const known = agents.get(key) ?? new OriginAgent(() => connect(origin));
    agents.set(key, known);
    return known;
  }

  return {
    request: (origin, { method, path, headers }) =>
      request({ agent: agentOf(origin), host: origin.name, port: origin.port, method, path, headers: [...headers], setHost: false }),
    connect,
    close: () => {
      for (const agent of agents.values()) agent.destroy();
    },
  };
}

function secured(socket: ReturnType<typeof connectTls>): Promise<Duplex> {
  return new Promise((resolve, reject) => {
    const fail = (error: Error): void => {
      socket.destroy();
      reject(new UpstreamError({ kind: "failed", why: `its TLS can't be trusted: ${error.message}` }));
    };
    socket.setTimeout(TLS_MS, () => fail(new Error("it does not finish its handshake")));
    socket.once("error", fail);
    socket.once("secureConnect", () => {
      socket.setTimeout(0).removeAllListeners("timeout");
      socket.off("error", fail);
      resolve(socket);
    });
  });
}

type Connected = (error: Error | null, stream?: Duplex) => void;

/** Node.js hands connections to requests; where they come from is ours to say. */
class OriginAgent extends Agent {
  readonly #connect: () => Promise<Duplex>;

  constructor(connect: () => Promise<Duplex>) {
    super({ keepAlive: true, maxFreeSockets: 64, timeout: IDLE_MS, servername: "" } as AgentOptions);
    this.#connect = connect;
  }

  override createConnection(_options: RequestOptions, done: Connected): undefined {
    this.#connect().then(
      (stream) => done(null, stream),
      (error: unknown) => done(error instanceof Error ? error : new Error(String(error))),
    );
    return undefined;
  }
}
