import type { Duplex } from "node:stream";
import { createSecureContext, type SecureContext, TLSSocket } from "node:tls";

/** Who issues certificates for the names of this run. */
export type Authority = { leafFor(name: string): Promise<{ readonly key: string; readonly cert: string }> };

export type Interception = {
  /** Answers the TLS of one connection in the name of its host; settles with what is said inside. Rejects when the task breaks it off. */
  accept(connection: Duplex, name: string): Promise<Duplex>;
};

const HANDSHAKE_MS = 10_000;
/**
 * The TLS of busybox names no signature algorithms, which means SHA-1 (RFC 5246 7.4.1.4.1), and OpenSSL makes no such signature above level 0. Between the
 * task and this process there is nobody from whom a stronger one would protect; towards the origin the defaults hold.
 */
const INSIDE_CIPHERS = "DEFAULT:@SECLEVEL=0";

/** Ends the task's TLS with certificates of the run's own authority. HTTP/2 is negotiated away (RFC 7301): requests are judged one by one as HTTP/1.1. */
export function createInterception(authority: () => Promise<Authority>): Interception {
  const contexts = new Map<string, Promise<SecureContext>>();

  function contextFor(name: string): Promise<SecureContext> {
    const known = contexts.get(name) ?? issue(name);
    contexts.set(name, known);
    return known;
  }

  async function issue(name: string): Promise<SecureContext> {
    const { key, cert } = await (await authority()).leafFor(name);
    return createSecureContext({ key, cert, minVersion: "TLSv1.2", ciphers: INSIDE_CIPHERS });
  }

  return {
    async accept(connection, name) {
      const secureContext = await contextFor(name);
      const socket = new TLSSocket(connection, { isServer: true, secureContext, ALPNProtocols: ["http/1.1"] });
      return new Promise((resolve, reject) => {
        const late = setTimeout(() => fail(new Error("The task does not finish its handshake.")), HANDSHAKE_MS);
        function fail(error: Error): void {
          clearTimeout(late);
          socket.destroy();
          connection.destroy();
          reject(error);
        }
        socket.once("error", fail).once("close", () => fail(new Error("The task ended its handshake.")));
        socket.once("secure", () => {
          clearTimeout(late);
          socket.off("error", fail);
          resolve(socket);
        });
      });
    },
  };
}
