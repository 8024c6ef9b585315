import { z } from "zod";
import { nearest } from "../core/nearest.ts";
import { PARTIAL_PREFIX } from "../core/partial.ts";
import type { Fault } from "./bad-batch.ts";
import type { BatchTask } from "./batch-task.ts";

/** What a batch writes beside the directories of its tasks. */
export const SUMMARY_FILE = "summary.json";
export const JOURNAL_FILE = "journal.jsonl";

const TASK_ID = /^[A-Za-z0-9._-]{1,100}$/;

const number = z.union([z.string(), z.number()]);

/** One task of a batch. This schema is the JSON Schema and the judge of every line at once. */
const batchTaskSchema = z
  .strictObject({
    id: z.string().regex(TASK_ID).describe("Name of the task and of the directory of its results; unique within the batch."),
    command: z.array(z.string()).min(1).describe("Program and arguments, executed without a shell."),
    stdin: z.string().optional().describe("What the command reads from standard input. Default nothing."),
    env: z.record(z.string(), z.string()).optional().describe("Environment variables, beside those of the flags; the task's win."),
    workspace: z.string().min(1).optional().describe("Directory copied in to /workspace, in place of --workspace."),
    mounts: z.array(z.string()).optional().describe("SRC:DST or SRC:DST:rw, beside those of the flags."),
    artifacts: z.array(z.string()).optional().describe("Globs to collect from /workspace, beside those of the flags."),
    timeout: z.string().optional().describe("Duration with a unit; at most that of --timeout."),
    memory: z.string().optional().describe("Size with a unit; at most that of --memory."),
    cpus: number.optional().describe("CPUs; at most those of --cpus."),
    pids: number.optional().describe("Processes and threads; at most those of --pids-limit."),
    disk: z.string().optional().describe("Size of /workspace with a unit; at most that of --disk."),
    allow: z.array(z.string()).optional().describe("What may leave, as --allow takes it; only what the flags allow. Default all of that."),
  })
  .describe("One task of a batch: a line of JSONL or an item of a YAML list.") satisfies z.ZodType<BatchTask>;

/** The JSON Schema (draft 2020-12) of one task. */
export function batchTaskJsonSchema(): object {
  return z.toJSONSchema(batchTaskSchema);
}

/** Judges the shape of one task: the task, or the first thing that is wrong with it. */
export function readBatchTask(value: unknown): { readonly task: BatchTask } | { readonly fault: Fault } {
  const parsed = batchTaskSchema.safeParse(value);
  if (!parsed.success) return { fault: faultOf(worstOf(parsed.error.issues), value) };
  const reserved = isReserved(parsed.data.id);
  return reserved
    ? { fault: { sentence: `the id "${parsed.data.id}" is a name that batch uses itself`, hint: "Choose another id." } }
    : { task: parsed.data };
}

/** Names that a directory of results can't have. */
function isReserved(id: string): boolean {
  return [".", "..", SUMMARY_FILE, JOURNAL_FILE].includes(id) || id.startsWith(PARTIAL_PREFIX);
}

/** What is missing may be there under a misspelt name. */
function worstOf(issues: readonly z.core.$ZodIssue[]): z.core.$ZodIssue | undefined {
  return issues.find(({ code, path }) => code === "unrecognized_keys" && path.length === 0) ?? issues[0];
}

function faultOf(issue: z.core.$ZodIssue | undefined, value: unknown): Fault {
  const keys = Object.keys(batchTaskSchema.shape).join(", ");
  if (issue === undefined) return { sentence: "this is not a task", hint: `Write an object with the keys ${keys}.` };
  if (issue.code === "unrecognized_keys") {
    const [key = ""] = issue.keys;
    const near = nearest(key, Object.keys(batchTaskSchema.shape));
    return {
      sentence: `${quote(key)} is not a key of a task`,
      hint: near === undefined ? `The keys are ${keys}.` : `Write ${near}, or leave it out.`,
    };
  }
  const [key] = issue.path;
  if (key === undefined) return { sentence: "a task is an object, and this is none", hint: 'Write {"id": "a", "command": ["true"]}.' };
  const given = valueAt(value, issue.path);
  if (given === undefined) return { sentence: `the task has no ${String(key)}`, hint: 'Write at least {"id": "a", "command": ["true"]}.' };
  if (key === "id")
    return { sentence: `the id ${quote(given)} is not one`, hint: "An id has 1 to 100 of the letters A-Z, a-z, 0-9, `.`, `_` and `-`." };
  const path = issue.path.map((part, at) => (typeof part === "number" ? `[${part}]` : `${at === 0 ? "" : "."}${String(part)}`)).join("");
  return {
    sentence: `${quoteKey(path)} is ${quote(given)}, which it can't be`,
    hint: `See \`sandbox schema batch\`: ${issue.message.replace(/\.+$/, "")}.`,
  };
}

function valueAt(value: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>((at, key) => (typeof at === "object" && at !== null ? Reflect.get(at, key) : undefined), value);
}

function quote(given: unknown): string {
  const text = JSON.stringify(given);
  return text.length > 80 ? `${text.slice(0, 80)}…` : text;
}

function quoteKey(path: string): string {
  return /^[\w.[\]-]{1,60}$/.test(path) ? path : quote(path);
}
