/**
 * Every error that a user can reach: a stable code, one sentence that names the offending value, and a hint that says what to do.
 * The table is the one place that ties a code to the exit status of the command line.
 */
export const ERROR_STATUS = {
  USAGE: 64,
  BAD_SIZE: 64,
  BAD_DURATION: 64,
  BAD_QUOTA: 64,
  BAD_ENV: 64,
  BAD_PATH: 64,
  BAD_MOUNT: 64,
  BAD_USER: 64,
  BAD_GLOB: 64,
  BAD_LABEL: 64,
  BAD_HOST: 64,
  BAD_HOST_NAME: 64,
  BAD_RULE: 64,
  BAD_COMMAND: 64,
  BAD_TASK_FILE: 64,
  BAD_BATCH: 64,
  BAD_RATE: 64,
  BAD_SECRET: 64,
  WORKSPACE_MISSING: 64,
  WORKSPACE_UNREADABLE: 64,
  WORKSPACE_TOO_LARGE: 64,
  NO_ENGINE: 69,
  ENGINE_REFUSED: 69,
  ENGINE_DENIED: 69,
  ENGINE_TIMEOUT: 69,
  ENGINE_LOST: 69,
  NOT_AN_ENGINE: 69,
  NO_IMAGE: 69,
  IMAGE_PLATFORM: 69,
  IMAGE_DIGEST: 69,
  PULL_FAILED: 69,
  BUILD_FAILED: 69,
  RUNTIME_MISSING: 69,
  UNSUPPORTED: 69,
  // Like an engine or an image: something the run needs is not to be had. 77 would say that we may not, which a missing value is not.
  SECRET_UNAVAILABLE: 69,
  NO_SUCH_RUN: 64,
  NO_SUCH_FILE: 64,
  OUT_UNWRITABLE: 73,
  RESULT_UNWRITABLE: 73,
  SANDBOX_ENDED: 125,
  INPUT_BROKEN: 125,
  OUTPUT_BROKEN: 125,
  COPY_IN_FAILED: 125,
  COLLECT_FAILED: 125,
  GUEST_MISSING: 125,
  GUEST_PROTOCOL: 125,
  GUEST_LOST: 125,
  GUEST_FAULT: 125,
  CREATE_FAILED: 125,
  START_FAILED: 125,
  DESTROY_FAILED: 125,
  NOT_EXECUTABLE: 126,
  NOT_FOUND: 127,
  INTERRUPTED: 130,
  INTERNAL: 125,
} as const;

export type ErrorCode = keyof typeof ERROR_STATUS;

/** What is printed or put into JSON for an error. */
export type ErrorReport = { readonly code: ErrorCode; readonly message: string; readonly hint: string };

export class SandboxError extends Error {
  override readonly name = "SandboxError";
  readonly code: ErrorCode;
  /** What the user can do about it: one imperative sentence. */
  readonly hint: string;

  // eslint-disable-next-line max-params -- code, sentence, hint and cause read like a row of a table at every use
  constructor(code: ErrorCode, message: string, hint: string, options?: { readonly cause?: unknown }) {
    super(message, options);
    this.code = code;
    this.hint = hint;
  }

  get exitStatus(): number {
    return ERROR_STATUS[this.code];
  }

  report(): ErrorReport {
    return { code: this.code, message: this.message, hint: this.hint };
  }
}

/** Turns anything thrown into a `SandboxError`; what was not expected becomes `INTERNAL` with its own message. */
export function toSandboxError(thrown: unknown): SandboxError {
  if (thrown instanceof SandboxError) return thrown;
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  return new SandboxError("INTERNAL", `Unexpected failure: ${message}.`, "Run again with --verbose and report what it prints.", {
    cause: thrown,
  });
}

/** The `code` of a Node.js system error (`ENOENT`, …), or `undefined` for anything else. */
export function systemCode(thrown: unknown): string | undefined {
  if (typeof thrown !== "object" || thrown === null || !("code" in thrown)) return undefined;
  return typeof thrown.code === "string" ? thrown.code : undefined;
}
