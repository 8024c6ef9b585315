import type { Container, EngineInfo, Image } from "../engine/port.ts";
import type { CommandExit } from "../guest/command.ts";
import type { GuestStats } from "../guest/stats.ts";
import type { Task } from "../policy/task.ts";
import type { Egress } from "./egress-plan.ts";
import { createEndingRace, type Ending, type EndingRace } from "./ending.ts";
import type { RunEvent, RunEventBody } from "./events.ts";
import { createOutputMeter, type OutputMeter } from "./output-meter.ts";
import { createPhases, type Phases } from "./phases.ts";
import type { RunResult } from "./result.ts";

/** What is known about a run so far: filled step by step, sealed into the result at the end. */
export type RunRecord = {
  readonly run: string;
  readonly task: Task;
  readonly started: Date;
  readonly phases: Phases;
  readonly ending: EndingRace;
  readonly stdout: OutputMeter;
  readonly stderr: OutputMeter;
  readonly artifacts: RunResult["artifacts"][number][];
  readonly refused: RunResult["refused"][number][];
  readonly emit: (event: RunEventBody) => void;
  engine: EngineInfo | undefined;
  image: Image | undefined;
  container: Container | undefined;
  /** Once the pipe is lost: settles with what became of the container. */
  loss: Promise<Ending> | undefined;
  exit: CommandExit | undefined;
  /** Wall clock of the command in milliseconds. */
  wallMs: number;
  stats: GuestStats | undefined;
  /** Open while the command runs. */
  egress: Egress | undefined;
  destroyed: { readonly destroyed: boolean; readonly proof: string };
};

export type RecordOptions = {
  readonly run: string;
  readonly keepOutput: boolean;
  readonly onEvent: ((event: RunEvent) => void) | undefined;
};

export function openRecord(task: Task, options: RecordOptions): RunRecord {
  const { run, onEvent } = options;
  const meter = { limit: task.quotas.outputBytes, keep: options.keepOutput };
  return {
    run,
    task,
    started: new Date(),
    phases: createPhases(),
    ending: createEndingRace(),
    stdout: createOutputMeter(meter),
    stderr: createOutputMeter(meter),
    artifacts: [],
    refused: [],
    emit: (event) => onEvent?.({ t: new Date().toISOString(), run, ...event }),
    engine: undefined,
    image: undefined,
    container: undefined,
    loss: undefined,
    exit: undefined,
    wallMs: 0,
    stats: undefined,
    egress: undefined,
    destroyed: { destroyed: true, proof: "never-created" },
  };
}
