import { connect, type Socket } from "node:net";
import { systemCode } from "../../core/errors.ts";
import { addressReason, OWN_CLASSES } from "../remedy.ts";
import type { Rule } from "../rule.ts";
import { classifyAddress } from "./address.ts";
import type { Resolve } from "./resolver.ts";

/** Why an allowed connection did not come about. */
export type DialFailure = {
  readonly kind: "name-error" | "no-answer" | "address-denied" | "refused" | "unreachable" | "timed-out" | "failed";
  readonly why: string;
};

export type Dialled = { readonly socket: Socket } | { readonly failure: DialFailure };

export type Dial = (to: { readonly name: string; readonly port: number; readonly rules: readonly Rule[] }) => Promise<Dialled>;

/** For all addresses of a name together, in milliseconds. */
const CONNECT_MS = 15_000;

/**
 * Connects to a name that a rule allows. It is resolved only now, each address is judged, and the connection goes to an address that was judged: nothing
 * is looked up a second time. Several addresses are tried one after the other, IPv4 first.
 */
export function createDial(resolve: Resolve, signal: AbortSignal): Dial {
  const dialling = new Set<Socket>();
  signal.addEventListener("abort", () => {
    for (const socket of dialling) giveUp(socket);
  });
  return async ({ name, port, rules }) => {
    const places = await findPlaces(resolve, { name, port, rules });
    if ("failure" in places) return places;
    if (signal.aborted) return { failure: { kind: "timed-out", why: `${name} was not connected to before the run ended` } };
    const deadline = performance.now() + CONNECT_MS;
    let failure: DialFailure = { kind: "failed", why: `${name} has no address` };
    for (const [index, place] of places.found.entries()) {
      const share = (deadline - performance.now()) / (places.found.length - index);
      const attempt = await tryPlace(place, { dialling, withinMs: Math.max(1, Math.round(share)) });
      if ("socket" in attempt) return attempt;
      failure = attempt.failure;
    }
    return { failure };
  };
}

type Place = { readonly host: string; readonly port: number };
type Wanted = { readonly name: string; readonly port: number; readonly rules: readonly Rule[] };

async function findPlaces(
  resolve: Resolve,
  { name, port, rules }: Wanted,
): Promise<{ readonly found: readonly Place[] } | { readonly failure: DialFailure }> {
  const fixed = rules.find(({ address }) => address !== undefined)?.address;
  if (fixed !== undefined) return { found: [{ host: fixed.ip, port: fixed.port ?? port }] };
  let addresses: readonly string[];
  try {
    addresses = await resolve(name);
  } catch (error) {
    return { failure: { kind: "no-answer", why: `no name server answers for it (${systemCode(error) ?? "unknown error"})` } };
  }
  if (addresses.length === 0) return { failure: { kind: "name-error", why: "it has no address" } };
  const allowPrivate = rules.some((rule) => rule.allowPrivate);
  const judged = addresses.map((address) => ({ address, kind: classifyAddress(address) }));
  const allowed = judged.filter(({ kind }) => kind === "public" || (allowPrivate && OWN_CLASSES.has(kind)));
  const [first] = judged;
  if (allowed.length === 0 && first !== undefined)
    return { failure: { kind: "address-denied", why: addressReason(first.address, first.kind) } };
  const inOrder = allowed.toSorted((one, other) => Number(one.address.includes(":")) - Number(other.address.includes(":")));
  return { found: inOrder.map(({ address }) => ({ host: address, port })) };
}

type Attempt = { readonly dialling: Set<Socket>; readonly withinMs: number };

/** One listener and one timer of the socket's own: signals made for each connection cost more than all the rest of dialling. */
function tryPlace({ host, port }: Place, { dialling, withinMs }: Attempt): Promise<Dialled> {
  const socket = connect({ host, port, allowHalfOpen: true, noDelay: true, keepAlive: true, timeout: withinMs });
  const place = `${host.includes(":") ? `[${host}]` : host}:${port}`;
  dialling.add(socket);
  return new Promise((resolve) => {
    const onTimeout = (): void => giveUp(socket);
    const onError = (error: Error): void => {
      dialling.delete(socket);
      resolve({ failure: failureOf(error, place) });
    };
    socket.once("timeout", onTimeout).on("error", onError);
    socket.once("connect", () => {
      dialling.delete(socket);
      socket.setTimeout(0).off("timeout", onTimeout).off("error", onError);
      resolve({ socket });
    });
  });
}

function giveUp(socket: Socket): void {
  socket.destroy(Object.assign(new Error("It does not answer."), { code: "ETIMEDOUT" }));
}

function failureOf(error: unknown, place: string): DialFailure {
  const code = systemCode(error) ?? "";
  if (code === "ECONNREFUSED") return { kind: "refused", why: `${place} refuses the connection` };
  if (code === "ETIMEDOUT") return { kind: "timed-out", why: `${place} does not answer` };
  if (code.endsWith("UNREACH")) return { kind: "unreachable", why: `${place} is unreachable` };
  return { kind: "failed", why: `${place} can't be connected to (${code})` };
}
