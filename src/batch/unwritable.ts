import { SandboxError, systemCode } from "../core/errors.ts";

/** What can't be written, as a sentence without its end, and what to do about it. */
export type Unwritable = { readonly sentence: string; readonly hint: string };

/** Writes at one go. Throws `OUT_UNWRITABLE`. */
export function writing<T>(act: () => T, unwritable: Unwritable): T {
  try {
    return act();
  } catch (error) {
    throw unwritableError(unwritable, error);
  }
}

export function unwritableError({ sentence, hint }: Unwritable, cause: unknown): SandboxError {
  return new SandboxError("OUT_UNWRITABLE", `${sentence} (${systemCode(cause) ?? "unknown error"}).`, hint, { cause });
}

export const GO_ON_LATER = "Make room there, then run again with --resume.";
