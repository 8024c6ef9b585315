import { PACKAGE_FILES } from "../core/package-files.ts";
import { BATCH_FLAGS, EACH_TASK_FLAGS, ENGINE_FLAGS, type Flag, MCP_FLAGS, RUN_FLAGS, SANDBOX_FLAGS } from "./flags.ts";
import type { Invocation } from "./invocation.ts";

export type Action = (invocation: Invocation) => Promise<number>;

export type CommandDescription = {
  /** Name and arguments as commander reads them. */
  readonly usage: string;
  readonly about: string;
  readonly flags: readonly Flag[];
  /** Everything from the first word on belongs to the command that is run. */
  readonly passThrough?: true;
  /** Standard output carries a protocol: nothing else is ever written there. */
  readonly ownsOutput?: true;
  /** Loads the code of this command alone. */
  readonly load: () => Promise<Action>;
};

export const COMMANDS: readonly CommandDescription[] = [
  {
    usage: "run <cmd...>",
    about: "run one command in one sandbox",
    flags: [...RUN_FLAGS, ...ENGINE_FLAGS],
    passThrough: true,
    load: loadRun,
  },
  {
    usage: "batch <tasks>",
    about: "run many commands, each in a sandbox of its own: JSON Lines, a YAML list, or CSV with a template",
    flags: [...BATCH_FLAGS, ...EACH_TASK_FLAGS, ...ENGINE_FLAGS],
    load: loadBatch,
  },
  {
    usage: "mcp",
    about: "one sandbox as an MCP server on standard input and output",
    flags: [...MCP_FLAGS, ...SANDBOX_FLAGS, ...ENGINE_FLAGS],
    ownsOutput: true,
    load: async () => (await import("./mcp.ts")).mcp,
  },
  {
    usage: "images <action> [name]",
    about: "build NAME (default sandbox/base), or ls what was built",
    flags: [{ flags: "--force", about: "build again even if nothing changed" }, ...ENGINE_FLAGS],
    load: async () => (await import("./images.ts")).images,
  },
  { usage: "ps", about: "what is running", flags: ENGINE_FLAGS, load: async () => (await import("./ps.ts")).ps },
  {
    usage: "kill <run...>",
    about: "end runs and remove their containers",
    flags: ENGINE_FLAGS,
    load: async () => (await import("./kill.ts")).kill,
  },
  {
    usage: "prune",
    about: "remove what dead owners left",
    flags: [{ flags: "--kept", about: "also containers that were kept with --keep" }, ...ENGINE_FLAGS],
    load: async () => (await import("./prune.ts")).prune,
  },
  {
    usage: "doctor",
    about: "can this machine hold the promises, and what to do if not",
    flags: ENGINE_FLAGS,
    load: async () => (await import("./doctor.ts")).doctor,
  },
  {
    usage: "schema <name>",
    about: "print a JSON Schema: result, task, batch (a task of it) or batch-summary",
    flags: [],
    load: async () => (await import("./schema.ts")).schema,
  },
];

/** The watchdog boots while the code of `run` is loaded and the engine is looked for: nobody waits for it later. */
async function loadRun(): Promise<Action> {
  const { bootWatchdog } = await import("../engine/watchdog.ts");
  const watchdog = bootWatchdog(PACKAGE_FILES.watchdogScript);
  const { run } = await import("./run.ts");
  return (invocation) => run(invocation, watchdog);
}

async function loadBatch(): Promise<Action> {
  const { bootWatchdog } = await import("../engine/watchdog.ts");
  const watchdog = bootWatchdog(PACKAGE_FILES.watchdogScript);
  const { batch } = await import("./batch.ts");
  return (invocation) => batch(invocation, watchdog);
}
