import { once } from "node:events";
import type { ClientRequest, IncomingMessage, ServerResponse } from "node:http";
import { pipeline, type Readable, type Transform, type Writable } from "node:stream";
import { SandboxError, systemCode } from "../../core/errors.ts";
import { type Meter, pump } from "../relay.ts";
import { UpstreamError } from "./upstream.ts";

/** Looks at a request's body on its way, or at an answer's on its way back. */
export type Passage = {
  /** Gives the bytes that go on, or why nothing more may. */
  push(chunk: Buffer): Promise<Buffer | PassageRefused> | Buffer;
  end(): Promise<Buffer | PassageRefused> | Buffer;
};

export type PassageRefused = { readonly refused: string };

/** The headers of an answer, what takes the codings of its body off, and what it passes then. */
export type Received = {
  readonly headers: readonly string[];
  readonly decoders?: readonly Transform[] | undefined;
  readonly inward?: Passage | undefined;
};

export type Forwarding = {
  readonly send: () => Promise<ClientRequest> | ClientRequest;
  readonly meter: Meter;
  /** What the body passes on its way out, where it has to. */
  readonly outward?: Passage | undefined;
  /** The answer as the task may see it. */
  readonly receive: (answer: IncomingMessage) => Received;
  /** Whether the answer asks for the request to be sent once more; one with a body can't be, and its sender has to try again. */
  readonly isStale: (answer: IncomingMessage) => Promise<boolean>;
  /** What to do when the origin can't be had before it answered. */
  readonly onFailure: (failure: UpstreamError["failure"]) => void;
  /** What to do when it must not go on. */
  readonly onRefused: (why: string) => void;
};

/**
 * Sends one request on, with its body as it comes, and the answer back. Settles when the answer begins, or with its failure handled; rejects with what
 * `send` had to say as a `SandboxError`.
 */
export async function forward(request: IncomingMessage, response: ServerResponse, forwarding: Forwarding): Promise<void> {
  const hasBody = request.headers["content-length"] !== undefined || request.headers["transfer-encoding"] !== undefined;
  let outgoing: ClientRequest | undefined;
  response.once("close", () => outgoing?.destroy());
  for (let left = hasBody ? 0 : 1; ; left -= 1) {
    try {
      outgoing = await forwarding.send();
      const answer = await exchange(request, outgoing, { ...forwarding, hasBody });
      if ((await forwarding.isStale(answer)) && left > 0) {
        answer.resume();
        continue;
      }
      await passBack(answer, response, forwarding);
      return;
    } catch (error) {
      if (response.destroyed || response.writableEnded) return;
      if (error instanceof NotForwarded) return void forwarding.onRefused(error.message);
      // A kept connection can end just as it is used again; a request without a body can be sent once more.
      if (left > 0 && outgoing?.reusedSocket === true && systemCode(error) === "ECONNRESET") continue;
      if (error instanceof SandboxError) throw error;
      if (response.headersSent) return void response.destroy();
      return void forwarding.onFailure(failureOf(error));
    }
  }
}

/** A request that must not go on, or not any further. */
export class NotForwarded extends Error {
  override readonly name = "NotForwarded";
}

type Exchange = Pick<Forwarding, "meter" | "outward"> & { readonly hasBody: boolean };

async function exchange(
  request: IncomingMessage,
  outgoing: ClientRequest,
  { hasBody, meter, outward }: Exchange,
): Promise<IncomingMessage> {
  const answered = once(outgoing, "response") as Promise<[IncomingMessage]>;
  outgoing.on("error", () => undefined);
  if (!hasBody) outgoing.end();
  else if (outward === undefined) pump(request, outgoing, meter.out);
  else
    await Promise.race([
      answered,
      passThrough(request, outgoing, { passage: outward, count: meter.out }).catch((error: unknown) => {
        outgoing.destroy();
        throw error;
      }),
    ]);
  const [answer] = await answered;
  return answer;
}

/** The reason phrase is Node.js's own: the origin's could say anything (RFC 9112 4), and nobody has to read it. */
async function passBack(answer: IncomingMessage, response: ServerResponse, { receive, meter }: Forwarding): Promise<void> {
  const { headers, decoders = [], inward } = receive(answer);
  response.sendDate = false;
  response.writeHead(answer.statusCode ?? 502, [...headers]);
  answer.on("aborted", () => response.destroy());
  answer.on("error", () => response.destroy());
  if (inward === undefined) pump(answer, response, meter.in);
  else await passThrough(decode(answer, decoders), response, { passage: inward, count: meter.in });
}

function decode(answer: IncomingMessage, decoders: readonly Transform[]): Readable {
  const [last] = decoders.slice(-1);
  if (last === undefined) return answer;
  // Its failure is met by who reads from the last one.
  pipeline([answer, ...decoders], () => undefined);
  return last;
}

type Through = { readonly passage: Passage; readonly count: (bytes: number) => boolean };

async function passThrough(from: Readable, to: Writable, { passage, count }: Through): Promise<void> {
  const put = async (bytes: Buffer | PassageRefused): Promise<void> => {
    if ("refused" in bytes) throw new NotForwarded(bytes.refused);
    if (!count(bytes.length)) throw new NotForwarded("its bytes are used up");
    if (bytes.length > 0 && !to.write(bytes)) await once(to, "drain");
  };
  for await (const chunk of from as AsyncIterable<Buffer>) await put(await passage.push(chunk));
  await put(await passage.end());
  to.end();
}

function failureOf(error: unknown): UpstreamError["failure"] {
  if (error instanceof UpstreamError) return error.failure;
  const said = error instanceof Error ? error.message : String(error);
  return { kind: "failed", why: `it ended without an answer (${systemCode(error) ?? said})` };
}
