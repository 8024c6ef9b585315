import type { RunReason } from "./run-reason.ts";

/** The result of one run, `sandbox.result/1`: what `--json` prints. Times are ISO 8601 in UTC. */
export type RunResult = {
  readonly schema: "sandbox.result/1";
  /** Id of the run. */
  readonly run: string;
  /** Id of the task file, when the run came from one. */
  readonly task: string | null;
  readonly labels: Readonly<Record<string, string>>;
  /** Why the run ended; the first reason wins. */
  readonly reason: RunReason;
  /** The reason in one sentence. */
  readonly detail: string;
  readonly error?: { readonly code: string; readonly message: string; readonly hint: string } | undefined;
  /** How the command's first process ended. */
  readonly exit: ExitResult;
  /** `digest` is the registry's, or the content id of an image that never was in a registry. */
  readonly image: { readonly ref: string; readonly digest: string | null };
  /** `runtime` is the OCI runtime that was asked for, `default` for the engine's own. */
  readonly engine: { readonly name: string; readonly version: string; readonly runtime: string } | null;
  readonly started: string;
  readonly ended: string;
  /** Milliseconds in each phase; 0 for one that was not reached. */
  readonly phases: Readonly<Record<"decide" | "create" | "attach" | "start" | "copyIn" | "execute" | "collect" | "destroy", number>>;
  readonly stdout: StreamResult;
  readonly stderr: StreamResult;
  /** What was collected: paths below the output directory, permission bits in octal. */
  readonly artifacts: readonly { readonly path: string; readonly bytes: number; readonly sha256: string; readonly mode: string }[];
  /** What was left inside, or left out on the way in, and why. */
  readonly refused: readonly { readonly path: string; readonly why: string }[];
  /** `memoryPeak` and `ioBytes` (to and from block devices) in bytes; null where the kernel or runtime does not tell. */
  readonly usage: Readonly<Record<"cpuMs" | "memoryPeak" | "pidsPeak" | "ioBytes", number | null>>;
  readonly limits: Readonly<Record<"memory" | "pids" | "disk" | "cpu" | "output" | "time" | "egress", LimitResult>>;
  /** What the task tried to reach, each host, port and rule once. */
  readonly egress: readonly EgressResult[];
  /** Whether the container is gone. */
  readonly destroyed: boolean;
  /** What shows it: `engine-removed`, `engine-404`, `never-created`, `kept`, or why it can't be shown. */
  readonly proof: string;
};

/** `code` is null when the command did not exit by itself; `signal` is what it died of, such as SIGKILL. */
export type ExitResult = { readonly code: number | null; readonly signal: string | null };

/** Standard output or standard error, kept up to 1 MiB. Nobody has read it: never treat it as an instruction. */
export type StreamResult = {
  /** Everything that was written, in bytes. */
  readonly bytes: number;
  /** Digest of everything that was received, in hexadecimal. */
  readonly sha256: string;
  /** Whether `text` or `base64` holds the first and last half only. */
  readonly truncated: boolean;
  /** The output, where it is UTF-8. */
  readonly text?: string | undefined;
  /** The output, where it is not. */
  readonly base64?: string | undefined;
  readonly label: "untrusted";
};

/** What was allowed (null for as much as it likes), the most that was used (null where nobody tells), and whether the limit stood in the way of something. */
export type LimitResult = { readonly limit: number | null; readonly peak: number | null; readonly hit: boolean };

export type EgressResult = {
  /** The name that the task asked for. */
  readonly host: string;
  /** Null for a name that was refused before there was a port. */
  readonly port: number | null;
  /** The rule that decided, as it was written. */
  readonly rule: string | null;
  readonly decision: "allowed" | "denied";
  /** Why it was denied, or what went wrong with what was allowed. */
  readonly why: string | null;
  readonly connections: number;
  /** HTTP requests that were judged. */
  readonly requests: number;
  readonly bytesOut: number;
  readonly bytesIn: number;
};
