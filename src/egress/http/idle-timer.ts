import type { Duplex } from "node:stream";

export type IdleTimer = { readonly start: () => void; readonly stop: () => void };

/** From the end of one answer to the whole head of the next request. */
const IDLE_MS = 60_000;

/** Ends a connection on which nothing is under way for long. */
export function createIdleTimer(connection: Duplex): IdleTimer {
  const expire = (): void => void connection.destroy();
  let timer = setTimeout(expire, IDLE_MS).unref();
  const stop = (): void => clearTimeout(timer);
  connection.once("close", stop);
  return {
    stop,
    start: () => {
      stop();
      if (!connection.destroyed) timer = setTimeout(expire, IDLE_MS).unref();
    },
  };
}
