import type { Readable, Writable } from "node:stream";
import { SandboxError } from "../core/errors.ts";
import { errnoName } from "../core/signals.ts";
import { abandon } from "./command.ts";
import type { Send } from "./credit.ts";
import { CreditReadable, CreditWritable } from "./credit-stream.ts";
import { encodeStrings, FrameType, frameName } from "./frame.ts";
import { createSettler, type Operation } from "./operation.ts";
import { violation } from "./violation.ts";

/** An entry that the guest left out: `why` is the name of an error number, such as `EACCES`. */
export type TransferNote = { readonly path: string; readonly why: string };

export type Unpack = {
  /** Takes a POSIX tar stream; end it to finish. */
  readonly input: Writable;
  /** Settles after the last entry. Rejects with `COPY_IN_FAILED` or `GUEST_LOST`. */
  readonly done: Promise<readonly TransferNote[]>;
};

export type Pack = {
  /** A tar stream, hostile until it was judged. */
  readonly output: Readable;
  /** Settles after the last byte. Rejects with `COLLECT_FAILED` or `GUEST_LOST`. */
  readonly done: Promise<readonly TransferNote[]>;
};

export type PackRequest = { readonly directory: string; readonly paths: readonly string[] };

const MAX_NOTES = 10_000;

export function openUnpack(
  id: number,
  directory: string,
  wire: { readonly send: Send; readonly guestWindow: number },
): { unpack: Unpack; operation: Operation } {
  const input = new CreditWritable(id, { send: wire.send, window: wire.guestWindow });
  const outcome = createOutcome("COPY_IN_FAILED", () => {
    input.refuse();
  });
  const operation: Operation = {
    accept({ type, payload }) {
      if (type === FrameType.CREDIT && payload.length === 4) input.grant(payload.readUInt32BE(0));
      else if (type === FrameType.STOP) input.refuse();
      else if (type !== FrameType.EOF) outcome.accept(type, payload);
    },
    fail(error) {
      outcome.fail(error);
      abandon(input, error);
    },
    isOver: outcome.isOver,
  };
  wire.send(id, FrameType.UNPACK, encodeStrings([directory]));
  return { unpack: { input, done: outcome.done }, operation };
}

export function openPack(
  id: number,
  request: PackRequest,
  wire: { readonly send: Send; readonly hostWindow: number },
): { pack: Pack; operation: Operation } {
  const output = new CreditReadable(id, { send: wire.send, window: wire.hostWindow });
  const outcome = createOutcome("COLLECT_FAILED", (error) => {
    abandon(output, error);
  });
  const operation: Operation = {
    accept({ type, payload }) {
      if (type === FrameType.DATA) output.accept(payload);
      else if (type === FrameType.EOF) output.acceptEnd();
      else outcome.accept(type, payload);
    },
    fail: outcome.fail,
    isOver: () => outcome.isOver() && (output.atEnd || output.destroyed),
  };
  wire.send(id, FrameType.PACK, encodeStrings([request.directory, ...request.paths]));
  return { pack: { output, done: outcome.done }, operation };
}

type OutcomeCode = "COPY_IN_FAILED" | "COLLECT_FAILED";

/** Takes `NOTE`s until `DONE` or `FAILED`. */
function createOutcome(code: OutcomeCode, onFailed: (error: SandboxError) => void) {
  const settler = createSettler<readonly TransferNote[]>();
  const notes: TransferNote[] = [];
  let over = false;

  function fail(error: SandboxError): void {
    over = true;
    settler.reject(error);
    onFailed(error);
  }

  function accept(type: number, payload: Buffer): void {
    if (over) throw violation(`${frameName(type)} for a transfer that is over`);
    if (type === FrameType.NOTE && payload.length >= 4 && notes.length < MAX_NOTES) {
      notes.push({ why: errnoName(payload.readUInt32BE(0)), path: payload.toString("utf8", 4) });
    } else if (type === FrameType.DONE) {
      over = true;
      settler.resolve(notes);
    } else if (type === FrameType.FAILED && payload.length >= 8) fail(transferFailure(code, payload));
    else throw violation(`${frameName(type)} during a transfer`);
  }

  return { done: settler.promise, accept, fail, isOver: () => over };
}

function transferFailure(code: OutcomeCode, payload: Buffer): SandboxError {
  const errno = errnoName(payload.readUInt32BE(4));
  const path = payload.toString("utf8", 8);
  const what = code === "COPY_IN_FAILED" ? "Files can't be copied into the sandbox" : "Files can't be read out of the sandbox";
  const full = errno === "ENOSPC" || errno === "EDQUOT";
  const hint = full
    ? "Raise --disk (and --memory with it), or leave files out with --exclude."
    : "Check that the directory is one of the sandbox's writable places.";
  return new SandboxError(code, `${what}: ${errno}${path === "" ? "" : ` at ${JSON.stringify(path)}`}.`, hint);
}
