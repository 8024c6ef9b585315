import { writeFile } from "node:fs/promises";
import { Readable } from "node:stream";
import type { BatchTask } from "../../src/batch/batch-task.ts";
import { createJudge } from "../../src/batch/judge-task.ts";
import { loadTasks } from "../../src/batch/load-tasks.ts";
import type { TaskRequest } from "../../src/policy/task-request.ts";
import { tempDirectory } from "../lab/temp-directory.ts";

export type List = {
  /** Its name says what it is; `-` is standard input. */
  readonly name: string;
  readonly content: string | Buffer;
  readonly template?: string;
  readonly flags?: Omit<TaskRequest, "command">;
};

/** Loads a list as `sandbox batch` does: the tasks with their lines, or what is thrown. */
export async function load({
  name,
  content,
  template,
  flags = {},
}: List): Promise<readonly { readonly line: number; readonly task: BatchTask }[]> {
  await using directory = await tempDirectory();
  const path = name === "-" ? name : directory.join(name);
  if (name !== "-") await writeFile(path, content);
  const { judge } = createJudge({ ...flags, command: ["true"] });
  const source = { path, stdin: Readable.from([Buffer.from(content)]), template };
  using tasks = await loadTasks({ source, judge, out: directory.join("out"), signal: new AbortController().signal });
  const loaded: { line: number; task: BatchTask }[] = [];
  for await (const { line, task } of tasks.read()) loaded.push({ line, task });
  return loaded;
}

/** What loading a list throws, its sentence without the directory. */
export async function fault(list: List): Promise<{ readonly code: unknown; readonly message: string; readonly hint: unknown }> {
  const error: unknown = await load(list).then(
    () => new Error("nothing was wrong"),
    (thrown: unknown) => thrown,
  );
  const { code, message, hint } = error as { readonly code: unknown; readonly message: string; readonly hint: unknown };
  return { code, message: message.replace(/^(?:\/[^/:]+)+\/(?=t\.\w+:\d)/, ""), hint };
}
