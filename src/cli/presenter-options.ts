import type { Task } from "../policy/task.ts";

/** How a run is shown. */
export type PresenterOptions = {
  readonly mode: "json" | "events" | "stream";
  readonly task: Task;
  readonly quiet: boolean;
  readonly verbose: boolean;
  /** Do not sanitise what goes to a terminal. */
  readonly raw: boolean;
  /** The task file that the rules come from. */
  readonly taskFile: string | undefined;
};
