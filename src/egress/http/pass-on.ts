import type { IncomingMessage, ServerResponse } from "node:http";
import { SandboxError } from "../../core/errors.ts";
import type { Book, Use } from "../accounts/book.ts";
import type { DialFailure } from "../places/dial.ts";
import { type Refusal, refuse } from "../refusal.ts";
import { forward, NotForwarded } from "./forward.ts";
import { endToEnd, headBytes, NOT_FOR_THE_TASK, type Origin, outgoingHeaders } from "./request.ts";
import type { Exchanges } from "./secret-exchange.ts";
import type { Upstream } from "./upstream.ts";

/** A judged request: where it goes, the account it counts in, and its target as it goes on. */
export type Sending = { readonly origin: Origin; readonly use: Use; readonly target: string };

export type PassingOn = { readonly upstream: Upstream; readonly book: Book; readonly exchanges: Exchanges | undefined };

/** Sends a judged request to its origin and the answer back; what goes wrong is booked, and said to the task. Never rejects. */
export async function passOn(request: IncomingMessage, response: ServerResponse, options: Sending & PassingOn): Promise<void> {
  const { use, book, exchanges } = options;
  try {
    await send(request, response, options);
  } catch (error) {
    if (error instanceof NotForwarded) denyRequest(response, { use, book, why: error.message });
    else if (error instanceof SandboxError) fail(response, { use, book, exchanges, failure: { kind: "failed", why: error.message } });
    else response.destroy();
  }
}

async function send(
  request: IncomingMessage,
  response: ServerResponse,
  { upstream, book, exchanges, origin, use, target }: Sending & PassingOn,
): Promise<void> {
  const exchange = exchanges?.open(request, { host: origin.name, target });
  const headers = outgoingHeaders(request, { mayChangeLength: exchange?.mayChangeLength ?? false });
  const method = request.method ?? "GET";
  const meter = book.meter(use);
  if (!meter.out(headBytes(method, target, headers))) throw new NotForwarded("its bytes are used up");
  await forward(request, response, {
    send: async () => upstream.request(origin, { method, path: target, headers: (await exchange?.outgoing(headers)) ?? headers }),
    meter,
    outward: exchange?.outward,
    receive: (answer) => {
      const kept = endToEnd(answer.rawHeaders, NOT_FOR_THE_TASK);
      return exchange?.receive(answer, kept) ?? { headers: kept };
    },
    isStale: (answer) => exchange?.isStale(answer) ?? Promise.resolve(false),
    onFailure: (failure) => fail(response, { use, book, exchanges, failure }),
    onRefused: (why) => denyRequest(response, { use, book, why }),
  });
}

type Failing = Omit<PassingOn, "upstream"> & { readonly use: Use; readonly failure: DialFailure };

function fail(response: ServerResponse, failing: Failing): void {
  refuse(response, bookFailure(failing));
}

/** Books what went wrong, and gives what the task reads of it. An origin's own words, such as the names in its certificate, pass the secrets. */
export function bookFailure({ use, book, exchanges, failure }: Failing): Refusal {
  const said = { ...failure, why: exchanges?.scrub(failure.why) ?? failure.why };
  book.fail(use, said);
  return unreachable(use.host, said);
}

type Denying = { readonly use: Use; readonly book: Book; readonly why: string };

function denyRequest(response: ServerResponse, { use: { host, port, rule }, book, why }: Denying): void {
  book.deny({ host, port, rule: rule.text, why });
  if (response.headersSent) response.destroy();
  else refuse(response, { status: 403, error: "denied", host, rule: rule.text, why });
}

function unreachable(host: string, { kind, why }: DialFailure): Refusal {
  if (kind === "address-denied") return { status: 403, error: "denied", host, rule: null, why };
  if (kind === "timed-out") return { status: 504, error: "timed-out", host, rule: null, why };
  return { status: 502, error: "unreachable", host, rule: null, why };
}
