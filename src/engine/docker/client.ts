import { IncomingMessage } from "node:http";
import type { Duplex, Readable } from "node:stream";
import { inspect } from "node:util";
import Docker from "dockerode";
import { SandboxError } from "../../core/errors.ts";
import { type Endpoint, endpointUrl } from "../endpoint.ts";
import { openConnections } from "./connections.ts";
import { engineTimeout, notAnEngine, type Place, toEngineError } from "./engine-error.ts";

/** One request of the Docker Engine API. Paths carry no version: each engine then speaks its own newest. */
export type Ask = {
  readonly method: "GET" | "HEAD" | "POST" | "PUT" | "DELETE";
  readonly path: string;
  readonly query?: Readonly<Record<string, string | readonly string[]>>;
  /** Sent as JSON. */
  readonly json?: object;
  /** Sent as a tar archive. */
  readonly tar?: Buffer | Readable;
  /** Sent as `X-Registry-Auth`: the login for a registry, as `encodeCredentials` writes it. */
  readonly registryAuth?: string | undefined;
  /** Milliseconds until the whole answer must be here; `undefined` for requests that wait for something to happen. */
  readonly timeout?: number | undefined;
  readonly signal?: AbortSignal | undefined;
};

/** `body` is the parsed JSON of the answer, or `undefined` when it has none. */
export type Answer = { readonly status: number; readonly body: unknown };

export type Client = {
  readonly url: string;
  readonly endpoint: Endpoint;
  /** For errors about what this client has opened. */
  readonly place: Place;
  /** Sends a request and reads its whole answer. Any HTTP status is an answer; throws `SandboxError` of the engine group otherwise. */
  ask(ask: Ask): Promise<Answer>;
  /** Sends a request and hands the answer's body over while it arrives. */
  stream(ask: Ask): Promise<{ readonly status: number; readonly body: IncomingMessage }>;
  /** Sends a request that turns its connection into a byte stream in both directions. */
  hijack(ask: Ask): Promise<{ readonly status: number; readonly socket: Duplex } | Answer>;
  readonly close: () => void;
};

/** Time in milliseconds for requests that only look something up or change it. */
export const ASK_TIMEOUT = 10_000;
const LARGEST_ANSWER = 32 * 1024 * 1024;
const SWITCHING_PROTOCOLS = 101;

/** dockerode reads DOCKER_HOST and others by itself while it is made, and fails on bad ones; which engine is meant has been decided. */
function withoutEnvironment<T>(make: () => T): T {
  /* eslint-disable no-restricted-properties -- taken away for one call that waits for nothing, never read */
  const { env } = process;
  process.env = {};
  try {
    return make();
  } finally {
    process.env = env;
  }
  /* eslint-enable no-restricted-properties */
}

/**
 * A client of the Docker Engine API over a UNIX socket, TCP, TLS or `ssh`, carried by dockerode. It opens nothing until it is asked. `env` is the
 * environment of an `ssh` process.
 */
export async function createClient(endpoint: Endpoint, env: Readonly<Record<string, string | undefined>>): Promise<Client> {
  const connections = await openConnections(endpoint, env);
  const { modem } = withoutEnvironment(() => new Docker(connections.options) as { readonly modem: Modem });
  const place = { url: endpointUrl(endpoint), explain: connections.explain, judge: connections.judge };

  async function answerOf(response: IncomingMessage, clock: Clock): Promise<Answer> {
    try {
      return { status: response.statusCode ?? 0, body: parseBody(await readAll(response, place.url), { response, url: place.url }) };
    } catch (thrown) {
      throw clock.reason() ?? toEngineError(thrown, place);
    } finally {
      clock.release();
    }
  }

  return {
    url: place.url,
    endpoint,
    place,
    async ask(ask) {
      const clock = startClock(ask, place);
      return answerOf(await dial(modem, { ask, clock, place }), clock);
    },
    async stream(ask) {
      const clock = startClock(ask, place);
      const response = await dial(modem, { ask, clock, place });
      response.once("close", clock.release);
      return { status: response.statusCode ?? 0, body: response };
    },
    async hijack(ask) {
      const clock = startClock(ask, place);
      const answer = await open(modem, { ask, clock, place, hijack: true });
      if (answer instanceof IncomingMessage) return answerOf(answer, clock);
      clock.release();
      return { status: SWITCHING_PROTOCOLS, socket: answer };
    },
    close: connections.close,
  };
}

/** What of docker-modem is used: its one verb, with the answer as a stream, or the connection itself where it is taken over. */
type Modem = { dial(options: object, done: (error: Error | null, answer: IncomingMessage | Duplex) => void): void };
type Dialled = { readonly ask: Ask; readonly clock: Clock; readonly place: Place };

async function dial(modem: Modem, dialled: Dialled): Promise<IncomingMessage> {
  const answer = await open(modem, { ...dialled, hijack: false });
  if (answer instanceof IncomingMessage) return answer;
  throw notAnEngine(dialled.place.url, "it took a connection over that it was not offered");
}

/** Every status is an answer: what to make of it is for the caller to say. */
const ANY_STATUS = Object.fromEntries(Array.from({ length: 500 }, (_, index) => [100 + index, true]));
const NO_BODY = Buffer.alloc(0);

function open(modem: Modem, { ask, clock, place, hijack }: Dialled & { readonly hijack: boolean }): Promise<IncomingMessage | Duplex> {
  const file = hijack ? NO_BODY : ask.tar;
  return new Promise((resolve, reject) => {
    modem.dial(
      {
        method: ask.method,
        path: ask.query === undefined ? ask.path : `${ask.path}?`,
        options: { _query: ask.query ?? {}, _body: ask.json ?? {} },
        statusCodes: ANY_STATUS,
        isStream: true,
        hijack,
        abortSignal: clock.signal,
        ...(file === undefined ? {} : { file }),
        ...(ask.registryAuth === undefined ? {} : { authconfig: { base64: hidden(ask.registryAuth) } }),
      },
      (error, answer) => {
        if (error === null) {
          resolve(answer);
          return;
        }
        clock.release();
        reject(clock.reason() ?? toEngineError(error, place));
      },
    );
  });
}

/** dockerode describes its requests, headers included, in the log that `DEBUG=modem` asks for. `node:http` sends what `toString` gives. */
function hidden(secret: string): object {
  return { toString: () => secret, [inspect.custom]: () => "(hidden)" };
}

/** Gives a request up when its time is over or the caller wants it; `reason` is why it was given up, if it was. */
type Clock = { readonly signal: AbortSignal; readonly release: () => void; readonly reason: () => SandboxError | undefined };

function startClock(ask: Ask, place: Place): Clock {
  const controller = new AbortController();
  let reason: SandboxError | undefined;
  const give = (why: SandboxError): void => {
    reason = why;
    controller.abort(why);
  };
  const { timeout } = ask;
  const request = `${ask.method} ${ask.path}`;
  const timer = timeout === undefined ? undefined : setTimeout(() => give(engineTimeout(place, { request, timeout })), timeout);
  const abort = (): void => give(new SandboxError("INTERRUPTED", `${request} was given up.`, "Run again."));
  if (ask.signal?.aborted === true) abort();
  ask.signal?.addEventListener("abort", abort, { once: true });
  return {
    signal: controller.signal,
    reason: () => reason,
    release: () => {
      clearTimeout(timer);
      ask.signal?.removeEventListener("abort", abort);
    },
  };
}

async function readAll(response: IncomingMessage, url: string): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of response) {
    if (!Buffer.isBuffer(chunk)) continue;
    bytes += chunk.length;
    if (bytes > LARGEST_ANSWER) throw notAnEngine(url, "it answers with more than 32 MiB");
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function parseBody(bytes: Buffer, { response, url }: { readonly response: IncomingMessage; readonly url: string }): unknown {
  if (bytes.length === 0) return undefined;
  try {
    const body: unknown = JSON.parse(bytes.toString("utf8"));
    return body;
  } catch {
    if ((response.statusCode ?? 0) >= 400) return { message: bytes.subarray(0, 500).toString("utf8") };
    throw notAnEngine(url, "it answers with something that is not JSON");
  }
}
