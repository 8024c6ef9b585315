/** One task of a batch. What it leaves out is as the batch was given it; what it says can only narrow that. */
export type BatchTask = {
  /** Name of the task and of the directory of its results: 1 to 100 of `A-Z a-z 0-9 . _ -`, unique within the batch. */
  readonly id: string;
  /** Program and arguments, executed without a shell. */
  readonly command: readonly string[];
  /** What the command reads. Default nothing. */
  readonly stdin?: string | undefined;
  /** Beside those of the batch; the task's win. */
  readonly env?: Readonly<Record<string, string>> | undefined;
  /** Directory copied in to `/workspace`, in place of the batch's. */
  readonly workspace?: string | undefined;
  /** `SRC:DST` or `SRC:DST:rw`, beside those of the batch. */
  readonly mounts?: readonly string[] | undefined;
  /** Globs to collect from `/workspace`, beside those of the batch. */
  readonly artifacts?: readonly string[] | undefined;
  /** Duration with a unit. */
  readonly timeout?: string | undefined;
  /** Size with a unit. */
  readonly memory?: string | undefined;
  readonly cpus?: string | number | undefined;
  /** Processes and threads. */
  readonly pids?: string | number | undefined;
  /** Size of `/workspace` with a unit. */
  readonly disk?: string | undefined;
  /** What may leave. Default all that the batch was given. */
  readonly allow?: readonly string[] | undefined;
};
