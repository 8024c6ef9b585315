import type { IncomingMessage, ServerResponse } from "node:http";

/** What a task reads that was refused: what, why, and what would allow it. */
export type Refusal = {
  readonly status: 400 | 403 | 429 | 502 | 504;
  readonly error: "denied" | "malformed" | "rate-limit" | "unreachable" | "timed-out";
  readonly host: string;
  readonly rule: string | null;
  readonly why: string;
  /** What would let it through. */
  readonly allow?: string;
  /** Milliseconds until it may be tried again. */
  readonly retryAfterMs?: number;
};

/** Answers a request with a refusal as a short JSON document, and ends the connection where its body was not read. */
export function refuse(response: ServerResponse, refusal: Refusal): void {
  const body = bodyOf(refusal);
  response.writeHead(refusal.status, { ...headersOf(refusal, body), ...(mustClose(response.req, refusal) ? { Connection: "close" } : {}) });
  response.end(body);
}

/** What follows a request that was not read to its end, or that was not meant for this host, is not read either. */
function mustClose({ complete, headers }: IncomingMessage, { status, rule }: Refusal): boolean {
  const isUnread = !complete && (headers["content-length"] !== undefined || headers["transfer-encoding"] !== undefined);
  return isUnread || status === 400 || (status === 403 && rule === null);
}

/** A refusal as the bytes of a whole response, for connections that are no longer HTTP's. */
export function encodeRefusal(refusal: Refusal): string {
  const body = bodyOf(refusal);
  const headers = Object.entries({ ...headersOf(refusal, body), Connection: "close" }).map(([name, value]) => `${name}: ${value}\r\n`);
  return `HTTP/1.1 ${refusal.status} Refused\r\n${headers.join("")}\r\n${body}`;
}

function bodyOf({ error, host, rule, why, allow }: Refusal): string {
  return `${JSON.stringify({ error: `sandbox: ${error}`, host, rule, why, allow })}\n`;
}

function headersOf({ retryAfterMs }: Refusal, body: string): Record<string, string> {
  return {
    "Content-Type": "application/json",
    "Content-Length": String(Buffer.byteLength(body)),
    ...(retryAfterMs === undefined ? {} : { "Retry-After": String(Math.ceil(retryAfterMs / 1000)) }),
  };
}
