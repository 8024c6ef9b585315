import { SandboxError } from "../core/errors.ts";

/** The guest broke the protocol: it was tampered with, or it is not our guest. Never repaired, always the end of the session. */
export function violation(what: string): SandboxError {
  return new SandboxError(
    "GUEST_PROTOCOL",
    `The process at the inner end of the pipe broke the protocol: ${what}.`,
    "Treat the image and the command as hostile; run `sandbox doctor` if this happens with an image that you trust.",
  );
}

/** The error for a `FAULT`, with which a guest says why it gives up. */
export function guestFault(payload: Buffer): SandboxError {
  const text = payload.toString("utf8", 4);
  return new SandboxError(
    "GUEST_FAULT",
    `The guest gave up: ${text}.`,
    "Raise --memory if it ran out; otherwise treat the image and the command as hostile.",
  );
}
