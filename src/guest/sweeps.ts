import type { SandboxError } from "../core/errors.ts";
import type { Send } from "./credit.ts";
import { CONTROL_STREAM, encodeU32, FrameType } from "./frame.ts";
import { createSettler, type Settler } from "./operation.ts";
import { violation } from "./violation.ts";

/** What was asked to be swept, until the guest says that it is. */
export type Sweeps = {
  /** Asks for the end of every process of the command that was opened on this stream. */
  ask(command: number): Promise<undefined>;
  /** Takes a SWEPT; throws `GUEST_PROTOCOL` for one that nobody waits for. */
  accept(payload: Buffer): void;
  /** The pipe is gone. */
  fail(error: SandboxError): void;
};

export function createSweeps(send: Send): Sweeps {
  const waiting = new Map<number, Settler<undefined>>();
  let failure: SandboxError | undefined;
  return {
    ask: (command) => {
      const known = waiting.get(command);
      if (known !== undefined) return known.promise;
      const reply = createSettler<undefined>();
      if (failure === undefined) {
        waiting.set(command, reply);
        send(CONTROL_STREAM, FrameType.SWEEP, encodeU32(command));
      } else reply.reject(failure);
      return reply.promise;
    },
    accept: (payload) => {
      const command = payload.length === 4 ? payload.readUInt32BE(0) : 0;
      const reply = waiting.get(command);
      if (reply === undefined) throw violation("SWEPT that nobody asked for");
      waiting.delete(command);
      reply.resolve(undefined);
    },
    fail: (error) => {
      failure = error;
      for (const reply of waiting.values()) reply.reject(error);
    },
  };
}
