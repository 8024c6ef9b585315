import type { ErrorReport } from "../core/errors.ts";
import type { EgressEvent } from "../egress/accounts/book.ts";
import type { RunResult } from "./result.ts";

/** What happens during a run, in order. `t` is ISO 8601 in UTC with milliseconds. */
export type RunEvent = { readonly t: string; readonly run: string } & RunEventBody;

/** `exec` counts the commands of a sandbox that stays open, from 1. */
export type RunEventBody =
  | { readonly type: "run.started"; readonly command: readonly string[]; readonly image: string }
  | { readonly type: "image.pulling"; readonly image: string; readonly progress: string }
  | { readonly type: "sandbox.created"; readonly container: string; readonly image: string }
  | { readonly type: "sandbox.started" }
  | {
      readonly type: "files.copied";
      readonly files: number;
      readonly bytes: number;
      readonly skipped: readonly { readonly path: string; readonly why: string }[];
    }
  | { readonly type: "exec.started"; readonly pid: number; readonly exec?: number }
  | { readonly type: "stdout" | "stderr"; readonly text: string }
  | { readonly type: "stdout" | "stderr"; readonly base64: string }
  | EgressEvent
  | { readonly type: "limit.hit"; readonly limit: string; readonly value: number | null }
  | { readonly type: "exec.exited"; readonly code: number | null; readonly signal: string | null; readonly exec?: number }
  | { readonly type: "artifact"; readonly path: string; readonly bytes: number; readonly sha256: string }
  | { readonly type: "artifact.refused"; readonly path: string; readonly why: string }
  | { readonly type: "sandbox.destroyed"; readonly proof: string }
  | { readonly type: "error"; readonly error: ErrorReport }
  | { readonly type: "run.sealed"; readonly result: RunResult };
