import { once } from "node:events";
import { createServer, request as httpRequest, type IncomingMessage, type ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import { buffer } from "node:stream/consumers";
import { engineSocket } from "./engine-api.ts";
import { tempDirectory } from "./temp-directory.ts";

/** What becomes of a request that does not simply pass. `carried out` is done by the engine, and its answer is lost on the way. */
export type Fault = "hangs" | "resets" | "500" | "404" | "409" | "half a body" | "garbage" | "carried out";

/** A request that is held where it is until it is let go. */
export type Held = { readonly reached: Promise<void>; letGo(): void };

/** An engine that is the real one behind a socket of its own, and misbehaves where it is told to. */
export type FakeEngine = AsyncDisposable & {
  /** Its address as a URL. */
  readonly host: string;
  /** Requests so far, as `METHOD /path`. */
  readonly requests: readonly string[];
  /** From now on each request that matches meets with `fault`, until the answer is disposed of. */
  break(request: RegExp, fault: Fault): Disposable;
  /** Holds the next request that matches before the engine sees it. Let go, it is carried out, also when its sender has died meanwhile. */
  holdRequest(request: RegExp): Held;
  /** Lets the next request that matches through, and holds the engine's answer to it. */
  holdAnswer(request: RegExp): Held;
};

type Trap = { readonly request: RegExp; readonly reached: () => void; readonly released: Promise<void> };

/** Opens a fake engine before the tests' own, or before the one at `socket`. */
export async function openFakeEngine(socket: string = engineSocket()): Promise<FakeEngine> {
  const directory = await tempDirectory();
  const path = directory.join("engine.sock");
  const requests: string[] = [];
  const broken: { readonly request: RegExp; readonly fault: Fault }[] = [];
  const traps: Record<"request" | "answer", Trap[]> = { request: [], answer: [] };
  const clients = new Set<Duplex>();

  async function pass(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await buffer(request);
    const line = await arrive(request);
    const fault = faultOf(line);
    if (fault !== undefined && fault !== "carried out") return void misbehave(request.socket, fault);
    const sent = httpRequest({ socketPath: socket, method: request.method, path: request.url, headers: request.headers });
    sent.once("error", () => request.socket.destroy());
    response.on("error", () => undefined).once("close", () => sent.destroy());
    sent.end(body);
    const [answer] = (await once(sent, "response")) as [IncomingMessage];
    if (fault === "carried out") return void misbehave(request.socket, "resets");
    await spring("answer", line);
    response.writeHead(answer.statusCode ?? 0, answer.headers);
    answer.on("error", () => request.socket.destroy()).pipe(response);
  }

  async function passUpgrade(request: IncomingMessage, client: Duplex, head: Buffer): Promise<void> {
    const line = await arrive(request);
    const fault = faultOf(line);
    if (fault !== undefined && fault !== "carried out") return void misbehave(client, fault);
    const sent = httpRequest({ socketPath: socket, method: request.method, path: request.url, headers: request.headers });
    sent.once("error", () => client.destroy());
    sent.end();
    const [answer, engine, first] = (await once(sent, "upgrade")) as [IncomingMessage, Duplex, Buffer];
    if (fault === "carried out") return void misbehave(client, "resets");
    await spring("answer", line);
    const headers = Object.entries(answer.headers).map(([name, value]) => `${name}: ${String(value)}\r\n`);
    client.write(`HTTP/1.1 101 UPGRADED\r\n${headers.join("")}\r\n`);
    client.unshift(head);
    engine.unshift(first);
    join(client, engine);
  }

  /** Notes a request, and waits where it is held. */
  async function arrive(request: IncomingMessage): Promise<string> {
    const line = `${request.method ?? ""} ${(request.url ?? "").replace(/\?.*$/, "")}`;
    requests.push(line);
    await spring("request", line);
    return line;
  }

  async function spring(kind: "request" | "answer", line: string): Promise<void> {
    const at = traps[kind].findIndex(({ request }) => request.test(line));
    const [trap] = at < 0 ? [] : traps[kind].splice(at, 1);
    trap?.reached();
    await trap?.released;
  }

  function faultOf(line: string): Fault | undefined {
    return broken.find(({ request }) => request.test(line))?.fault;
  }

  function hold(kind: "request" | "answer", request: RegExp): Held {
    const arrival = createGate();
    const release = createGate();
    traps[kind].push({ request, reached: arrival.open, released: release.opened });
    return { reached: arrival.opened, letGo: release.open };
  }

  const server = createServer({ keepAliveTimeout: 0, requestTimeout: 0 }, (request, response) => {
    pass(request, response).catch(() => request.socket.destroy());
  });
  server.on("upgrade", (request: IncomingMessage, client: Duplex, head: Buffer) => {
    passUpgrade(request, client, head).catch(() => client.destroy());
  });
  server.on("connection", (client: Duplex) => {
    clients.add(client);
    client.on("error", () => undefined).once("close", () => clients.delete(client));
  });
  server.listen(path);
  await once(server, "listening");
  return {
    host: `unix://${path}`,
    requests,
    break: (request, fault) => {
      const entry = { request, fault };
      broken.push(entry);
      return { [Symbol.dispose]: () => void broken.splice(broken.indexOf(entry), 1) };
    },
    holdRequest: (request) => hold("request", request),
    holdAnswer: (request) => hold("answer", request),
    [Symbol.asyncDispose]: async () => {
      for (const client of clients) client.destroy();
      server.close();
      await once(server, "close");
      await directory[Symbol.asyncDispose]();
    },
  };
}

function createGate(): { readonly opened: Promise<void>; readonly open: () => void } {
  let open = (): void => undefined;
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { opened, open };
}

/** Carries bytes both ways, and the end of each way on its own, as the engine does on an attached stream. */
function join(client: Duplex, engine: Duplex): void {
  client.pipe(engine);
  engine.pipe(client);
  for (const [end, other] of [
    [client, engine],
    [engine, client],
  ] as const)
    end.on("error", () => other.destroy()).once("close", () => other.destroy());
}

function misbehave(client: Duplex, fault: Exclude<Fault, "carried out">): void {
  switch (fault) {
    case "hangs":
      return;
    case "resets":
      client.destroy();
      return;
    case "500":
    case "404":
    case "409":
      client.end(errorAnswer(Number(fault)));
      return;
    case "half a body":
      client.end('HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 500\r\n\r\n{"Id":"');
      return;
    case "garbage":
      client.end("220 mail.example.com ESMTP ready\r\n");
      return;
  }
}

function errorAnswer(status: number): string {
  const body = JSON.stringify({ message: "the engine is\nnot well" });
  return `HTTP/1.1 ${status} Status\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`;
}
