import { SandboxError } from "../core/errors.ts";
import { formatDuration, formatSize } from "../core/units.ts";
import { artifactRoots } from "../files/outputs.ts";
import { narrowEgress } from "../policy/narrow-egress.ts";
import type { Quotas } from "../policy/quotas.ts";
import { resolveTask } from "../policy/resolve-task.ts";
import type { Task } from "../policy/task.ts";
import type { TaskRequest } from "../policy/task-request.ts";
import type { BatchTask } from "./batch-task.ts";

/** What a batch was given for all its tasks: flags, and a task file below them. */
export type Common = {
  /** The task that a line which says nothing else stands for, with a command that stands for any. */
  readonly task: Task;
  /** Makes one task of the batch. Throws what is wrong with it, and `BAD_QUOTA` and `BAD_RULE` where it asks for more than was given. */
  readonly judge: (task: BatchTask) => Task;
};

/** Prepares to judge tasks against what the batch was given. Throws what is wrong with that. */
export function createJudge(given: TaskRequest): Common {
  const { exclude = [], withGit = false, ...rest } = given;
  const copying = { exclude, withGit };
  const common = { ...rest, command: ["true"] };
  const task = resolveTask({ ...common, ...(given.workspace === undefined ? {} : copying) });
  artifactRoots(task.artifacts);
  return { task, judge: (line) => judgeTask({ request: rest, copying, limits: task }, line) };
}

type Given = {
  readonly request: TaskRequest;
  readonly copying: { readonly exclude: readonly string[]; readonly withGit: boolean };
  readonly limits: Task;
};

function judgeTask({ request, copying, limits }: Given, line: BatchTask): Task {
  const workspace = line.workspace ?? request.workspace;
  const task = resolveTask({
    ...(line.allow === undefined ? request : narrowed(request, limits.egress, line.allow)),
    ...(workspace === undefined ? {} : { workspace, ...copying }),
    ...quotasOf(line),
    command: line.command,
    env: { ...request.env, ...line.env },
    mounts: [...(request.mounts ?? []), ...(line.mounts ?? [])],
    artifacts: [...(request.artifacts ?? []), ...(line.artifacts ?? [])],
  });
  assertNarrower(line, task.quotas, limits.quotas);
  artifactRoots(task.artifacts);
  return task;
}

/** What restricts what may leave has nothing to restrict where nothing may. */
function narrowed(request: TaskRequest, egress: Task["egress"], allow: readonly string[]): TaskRequest {
  const narrow = { ...narrowEgress(egress, allow), allow: [] };
  if (narrow.rules.length > 0) return { ...request, ...narrow };
  const { rate: _rate, maxEgress: _maxEgress, ...rest } = request;
  return { ...rest, ...narrow, allowPrivate: false };
}

function quotasOf({ timeout, memory, cpus, pids, disk }: BatchTask): Partial<TaskRequest> {
  const given = Object.entries({ timeout, memory, cpus, pids, disk }).filter(([, value]) => value !== undefined);
  return Object.fromEntries(given.map(([name, value]) => [name, String(value)]));
}

/** What a task may ask less of: its key, the flag that gives it, and how it is said. */
const LIMITS: readonly {
  readonly key: "timeout" | "memory" | "cpus" | "pids" | "disk";
  readonly quota: keyof Quotas;
  readonly flag: string;
  readonly say: (value: number) => string;
}[] = [
  { key: "timeout", quota: "timeoutMs", flag: "--timeout", say: formatDuration },
  { key: "memory", quota: "memoryBytes", flag: "--memory", say: formatSize },
  { key: "cpus", quota: "cpus", flag: "--cpus", say: String },
  { key: "pids", quota: "pids", flag: "--pids-limit", say: String },
  { key: "disk", quota: "diskBytes", flag: "--disk", say: formatSize },
];

function assertNarrower(line: BatchTask, own: Quotas, limits: Quotas): void {
  for (const { key, quota, flag, say } of LIMITS)
    if (line[key] !== undefined && own[quota] > limits[quota])
      throw new SandboxError(
        "BAD_QUOTA",
        `${key} is ${say(own[quota])}, more than the ${say(limits[quota])} that the batch was given.`,
        `Ask for less, or give the batch more with ${flag}.`,
      );
}
