import type { Readable } from "node:stream";
import type { SecretSources } from "../egress/secrets/secret-values.ts";
import type { Engine } from "../engine/port.ts";
import type { LearnedRule } from "../policy/file/write-task-file.ts";
import type { RunEvent } from "./events.ts";

/** Everything that a run needs of the world around it; nothing in `run/` reaches for a global. */
export type RunContext = {
  readonly engine: Engine;
  /** What the command reads; left out, its standard input is empty. */
  readonly stdin?: Readable;
  /** Takes the command's output as it comes; the next piece waits for the returned promise. */
  readonly onOutput?: (stream: "stdout" | "stderr", piece: Buffer) => Promise<void> | void;
  readonly onEvent?: (event: RunEvent) => void;
  /** Keep output, its digest and its size for the result. Without it, the result's `stdout` and `stderr` count bytes only. */
  readonly keepOutput: boolean;
  /** The size of the caller's terminal, for a task with one, and its changes. */
  readonly terminal?: TerminalSize & { readonly onResize: (listener: (size: TerminalSize) => void) => void };
  /** PEM certificates that the machine trusts, for looking into TLS; left out, those of Node.js. */
  readonly roots?: () => Promise<readonly string[]>;
  /** Takes what a run that learns has used, at its end. */
  readonly onLearned?: (rules: readonly LearnedRule[]) => void;
  /** Where the values of secrets are read. */
  readonly secretSources?: SecretSources;
  /** Ask the run to end: the command gets the named signal first. Aborting a second one ends it at once. */
  readonly interrupts?: Interrupts;
};

export type TerminalSize = { readonly rows: number; readonly columns: number };

/** `gentle` aborts with the name of a signal as its reason. */
export type Interrupts = { readonly gentle: AbortSignal; readonly forced: AbortSignal };
