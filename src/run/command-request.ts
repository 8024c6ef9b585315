import { SandboxError } from "../core/errors.ts";
import { parseDuration, parseSize } from "../core/units.ts";
import type { CommandRequest } from "../guest/command.ts";
import type { Task } from "../policy/task.ts";
import { assertCommand, assertEnvironment, parseWorkdir } from "../policy/task-fields.ts";
import { environmentOf } from "./command-environment.ts";
import type { Input } from "./command-input.ts";
import type { TerminalSize } from "./context.ts";
import type { Plan } from "./decide.ts";
import type { RunRecord } from "./record.ts";

/** What one command in an open sandbox may be given; what is left out is as the sandbox has it. */
export type ExecOptions = {
  /** Default nothing. */
  readonly stdin?: Input;
  /** Beside the sandbox's own. */
  readonly env?: Readonly<Record<string, string>>;
  /** Absolute, inside. */
  readonly cwd?: string;
  /** Aborting ends the command: SIGTERM to its process group, then, after `killAfter` at the latest, SIGKILL to every process of it. */
  readonly signal?: AbortSignal;
  readonly timeout?: string;
  readonly killAfter?: string;
  /** For each of standard output and standard error. */
  readonly maxOutput?: string;
  /** Takes output as it comes; the next piece waits for the returned promise. */
  readonly onStdout?: (piece: Uint8Array) => Promise<void> | void;
  readonly onStderr?: (piece: Uint8Array) => Promise<void> | void;
  /** A terminal in place of the three pipes; everything then arrives on standard output. */
  readonly terminal?: TerminalSize & { readonly onResize?: (listener: (size: TerminalSize) => void) => void };
};

/** Limits of one command, in milliseconds and bytes. */
export type CommandLimits = { readonly timeoutMs: number; readonly killAfterMs: number; readonly outputBytes: number };

/** The limits of one command: its own, else the sandbox's. Throws `BAD_DURATION` and `BAD_SIZE`. */
export function resolveLimits({ quotas }: Task, { timeout, killAfter, maxOutput }: ExecOptions): CommandLimits {
  return {
    timeoutMs: timeout === undefined ? quotas.timeoutMs : parseDuration(timeout, "timeout"),
    killAfterMs: killAfter === undefined ? quotas.killAfterMs : parseDuration(killAfter, "killAfter"),
    outputBytes: maxOutput === undefined ? quotas.outputBytes : parseSize(maxOutput, "maxOutput"),
  };
}

/** The sandbox that the command is to run in. */
type Inside = { readonly record: RunRecord; readonly plan: Plan };

/** What the guest is asked to execute. Throws `BAD_COMMAND`, `BAD_ENV`, `BAD_PATH` and, for a signal that is aborted already, `INTERRUPTED`. */
export function resolveRequest({ record, plan }: Inside, argv: readonly string[], options: ExecOptions): CommandRequest {
  const { task, egress } = record;
  const { env = {}, cwd, terminal, stdin } = options;
  assertCommand(argv);
  assertEnvironment(env);
  if (options.signal?.aborted === true)
    throw new SandboxError("INTERRUPTED", "The command was given up before it was started.", "Pass a signal that is not aborted yet.");
  return {
    argv,
    env: { ...environmentOf(plan.image, { terminal: terminal !== undefined }), ...egress?.env, ...task.env, ...env },
    cwd: cwd === undefined ? task.workdir : parseWorkdir(cwd),
    stdin: stdin !== undefined,
    terminal: terminal === undefined ? undefined : { rows: terminal.rows, columns: terminal.columns },
  };
}
