import { SandboxError } from "../core/errors.ts";

/** The guest broke the protocol: it was tampered with, or it is not our guest. Never repaired, always the end of the session. */
export function violation(what: string): SandboxError {
  return new SandboxError(
    "GUEST_PROTOCOL",
    `The process at the inner end of the pipe broke the protocol: ${what}.`,
    "Treat the image and the command as hostile; run `sandbox doctor` if this happens with an image that you trust.",
  );
}
