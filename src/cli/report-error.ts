import type { SandboxError } from "../core/errors.ts";
import { sanitiseLine } from "../output/sanitise.ts";

/**
 * Prints an error for people on standard error, or as JSON on standard output, and answers the exit status that goes with it. That standard
 * output is broken can only be said on standard error.
 */
export function reportError(error: SandboxError, options: { readonly json: boolean; readonly verbose: boolean }): number {
  if (options.json && error.code !== "OUTPUT_BROKEN") process.stdout.write(`${JSON.stringify({ error: error.report() })}\n`);
  else process.stderr.write(`sandbox: ${sanitiseLine(error.message)}\n  ${sanitiseLine(error.hint)} (${error.code})\n`);
  if (options.verbose) process.stderr.write(`${sanitiseLine(error.stack ?? "")}\n`);
  return error.exitStatus;
}
