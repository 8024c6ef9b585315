import { createHash } from "node:crypto";
import { canonicalJson } from "../core/canonical-json.ts";
import type { Task } from "../policy/task.ts";
import type { BatchTask } from "./batch-task.ts";

/** SHA-256 in hex of everything that decides what a task does: another one means other results. Values of secrets are no part of it. */
export function digestTask({ id, stdin }: BatchTask, task: Task): string {
  return createHash("sha256").update(canonicalJson({ id, stdin, task })).digest("hex");
}
