/**
 * Runs commands that nobody has read, each in a throw-away, hardened container, from a program: `runTask` for one command, `createSandbox` for many in one
 * container, `runBatch` for a list.
 */
export type { BatchTask } from "./batch/batch-task.ts";
export type { BatchEvent } from "./batch/events.ts";
export type { Summary as BatchSummary } from "./batch/summary.ts";
export { type ErrorCode, type ErrorReport, SandboxError } from "./core/errors.ts";
export type { Engine } from "./engine/port.ts";
export type { SecretRequest } from "./policy/egress-spec.ts";
export type { ExecOptions } from "./run/command-request.ts";
export type { RunEvent } from "./run/events.ts";
export type { Sandbox } from "./run/open-sandbox.ts";
export type { RunResult } from "./run/result.ts";
export type { ExecResult } from "./run/run-command.ts";
export { createSandbox } from "./sdk/create-sandbox.ts";
export { openEngine } from "./sdk/open-engine.ts";
export type { BatchOptions, EngineChoice, EngineOptions, RunOptions, SandboxOptions, TaskOptions } from "./sdk/options.ts";
export { runBatch } from "./sdk/run-batch.ts";
export { type RunningTask, runTask } from "./sdk/run-task.ts";
