import type { ClientRequest, IncomingMessage, ServerResponse } from "node:http";
import { systemCode } from "../core/errors.ts";
import { type Meter, pump } from "./relay.ts";
import { endToEnd } from "./request.ts";
import { UpstreamError } from "./upstream.ts";

export type Forwarding = {
  readonly send: () => ClientRequest;
  readonly meter: Meter;
  /** What to do when the origin can't be had before it answered. */
  readonly onFailure: (failure: UpstreamError["failure"]) => void;
};

/** What an origin says about other ways to itself would lead around the gate (RFC 7838). */
const NOT_FOR_THE_TASK = ["alt-svc"];

/** Sends one request on, with its body as it comes, and the answer back. */
export function forward(request: IncomingMessage, response: ServerResponse, { send, meter, onFailure }: Forwarding): void {
  const hasBody = request.headers["content-length"] !== undefined || request.headers["transfer-encoding"] !== undefined;
  let left = hasBody ? 0 : 1;
  response.on("close", () => outgoing.destroy());
  let outgoing = attempt();

  function attempt(): ClientRequest {
    const sent = send();
    sent.on("response", (answer) => passBack(answer, response, meter));
    sent.on("error", (error) => {
      if (response.destroyed || response.writableEnded) return;
      // A kept connection can end just as it is used again; a request without a body can be sent once more.
      if (sent.reusedSocket && left > 0 && !response.headersSent && systemCode(error) === "ECONNRESET") {
        left -= 1;
        outgoing = attempt();
      } else if (response.headersSent) response.destroy();
      else onFailure(failureOf(error));
    });
    if (hasBody) pump(request, sent, meter.out);
    else sent.end();
    return sent;
  }
}

function passBack(answer: IncomingMessage, response: ServerResponse, meter: Meter): void {
  response.sendDate = false;
  response.writeHead(answer.statusCode ?? 502, answer.statusMessage ?? "", endToEnd(answer.rawHeaders, NOT_FOR_THE_TASK));
  answer.on("aborted", () => response.destroy());
  answer.on("error", () => response.destroy());
  pump(answer, response, meter.in);
}

function failureOf(error: Error): UpstreamError["failure"] {
  if (error instanceof UpstreamError) return error.failure;
  return { kind: "failed", why: `it ended without an answer (${systemCode(error) ?? error.message})` };
}

/** The headers of a request as they go on: its framing is said anew, whatever way it came. */
export function outgoingHeaders({ rawHeaders, headers, method }: IncomingMessage): readonly string[] {
  const kept = endToEnd(rawHeaders, ["expect"]);
  if (headers["transfer-encoding"] !== undefined) return [...endToEnd(kept, ["content-length"]), "Transfer-Encoding", "chunked"];
  const needsLength = method === "POST" || method === "PUT" || method === "PATCH";
  return needsLength && headers["content-length"] === undefined ? [...kept, "Content-Length", "0"] : kept;
}
