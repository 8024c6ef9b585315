import type { SandboxError } from "../core/errors.ts";

/** One open stream as the session sees it. */
export type Operation = {
  /** Takes one frame of this operation; throws `GUEST_PROTOCOL` for what makes no sense in its state. */
  accept(frame: { readonly stream: number; readonly type: number; readonly payload: Buffer }): void;
  /** The pipe is gone: everything still waiting fails with this. */
  fail(error: SandboxError): void;
  /** Nothing more can come on its streams but credit that crossed its end. */
  isOver(): boolean;
};

export type Settler<T> = { readonly promise: Promise<T>; resolve(value: T): void; reject(error: Error): void };

/** A promise with its ends in hand. Nobody has to listen: a rejection that nobody awaits is not an unhandled one. */
export function createSettler<T>(): Settler<T> {
  let resolve: (value: T) => void = () => undefined;
  let reject: (error: Error) => void = () => undefined;
  const promise = new Promise<T>((onResolve, onReject) => {
    resolve = onResolve;
    reject = onReject;
  });
  promise.catch(() => undefined);
  return { promise, resolve, reject };
}
