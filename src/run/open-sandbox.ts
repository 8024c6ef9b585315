import { SandboxError, toSandboxError } from "../core/errors.ts";
import type { EgressRow } from "../egress/accounts/ledger.ts";
import { inodesOf } from "../engine/posture.ts";
import type { Artifact } from "../files/collect.ts";
import type { Refusal } from "../files/scan-workspace.ts";
import type { Listing } from "../files/take-files.ts";
import type { Task } from "../policy/task.ts";
import { collectInto } from "./collect-files.ts";
import type { ExecOptions } from "./command-request.ts";
import type { RunContext } from "./context.ts";
import { endingOfFailure } from "./diagnose.ts";
import { openEgress } from "./egress.ts";
import type { Ending } from "./ending.ts";
import { createEventLog } from "./event-log.ts";
import type { RunEvent } from "./events.ts";
import { watchInterrupts } from "./interrupts.ts";
import { prepareSandbox } from "./prepare-sandbox.ts";
import { openRecord, type RunRecord } from "./record.ts";
import { type ExecResult, type LiveSandbox, runCommand } from "./run-command.ts";
import { destroySandbox } from "./sandbox.ts";
import { type Content, listSandboxFiles, readSandboxFile, writeSandboxFile } from "./sandbox-files.ts";

/** One container that stays open for many commands. Everything that it throws is a `SandboxError`. */
export type Sandbox = AsyncDisposable & {
  /** Id of the run, and in the container's name and labels. */
  readonly id: string;
  /** What happens, from the beginning; each loop over it gets everything that is kept (10,000 events at least), and ends when the sandbox is closed. */
  readonly events: AsyncIterable<RunEvent>;
  /** Settles once the sandbox has ended, with the reason: closed, out of memory, killed from outside, egress limit, engine lost. */
  readonly ended: Promise<Ending>;
  /**
   * Runs one command to its end; any number may run at once. Throws `BAD_*` for bad input, `NOT_FOUND`, `NOT_EXECUTABLE`, `BAD_PATH` for a directory that
   * is not there, `START_FAILED` and `SANDBOX_ENDED`; what else happens is in the result's `reason`.
   */
  exec(argv: readonly string[], options?: ExecOptions): Promise<ExecResult>;
  /** Writes a file below `/workspace` in place of what was there. `mode` is permission bits, default 0o644. Throws `BAD_PATH`, `COPY_IN_FAILED`, `SANDBOX_ENDED`. */
  write(path: string, content: Content, options?: { readonly mode?: number }): Promise<void>;
  /** Reads a regular file below `/workspace`, at most `maxBytes` (default: the sandbox's `maxOutput`). Throws `BAD_PATH`, `NO_SUCH_FILE`, `COLLECT_FAILED`, `SANDBOX_ENDED`. */
  read(path: string, options?: { readonly maxBytes?: number }): Promise<Buffer>;
  /** Lists what lies in a directory below `/workspace` (default: there). The guest sends the files' contents along, so that a large tree takes its time. Throws as `read`. */
  list(path?: string, options?: { readonly recursive?: boolean }): Promise<Listing>;
  /** Lets what the globs name appear in the new directory `out`, as `--artifact` and `--out` do. Throws `BAD_GLOB`, `OUT_UNWRITABLE`, `COLLECT_FAILED`, `SANDBOX_ENDED`. */
  collect(
    globs: readonly string[],
    out: string,
  ): Promise<{ readonly artifacts: readonly Artifact[]; readonly refused: readonly Refusal[] }>;
  /** What was tried to be reached so far. */
  egress(): readonly EgressRow[];
  /** Ends everything inside and destroys the container; resolves with what proves that it is gone. Throws `DESTROY_FAILED`. */
  close(): Promise<Closed>;
};

/** `destroyed` is false for a sandbox that is kept only; `proof` says what showed it. */
export type Closed = { readonly destroyed: boolean; readonly proof: string };

/** Opens a sandbox by the same steps as a run's. Throws what stood in the way; nothing is left then. */
export async function openSandbox(task: Task, context: RunContext): Promise<Sandbox> {
  const log = createEventLog();
  const onEvent = (event: RunEvent): void => {
    log.add(event);
    context.onEvent?.(event);
  };
  const record = openRecord(task, { run: context.engine.newRun(), keepOutput: false, onEvent });
  const interrupts = watchInterrupts(record, context.interrupts);
  try {
    const live = await open(record, context);
    return handleOf(live, { context, log, interrupts });
  } catch (error) {
    record.ending.settle(await endingOfFailure(record, error));
    await destroySandbox(record);
    interrupts[Symbol.dispose]();
    log.close();
    throw openingError(record);
  }
}

async function open(record: RunRecord, context: RunContext): Promise<LiveSandbox> {
  const prepared = await prepareSandbox(record, context);
  if (prepared === undefined) throw openingError(record);
  const { plan, session } = prepared;
  record.egress = await openEgress(record, plan.egress, { session, context });
  if (record.ending.current() !== undefined) throw openingError(record);
  const running: LiveSandbox["running"] = new Set();
  void record.ending.first.then((ending) => {
    for (const command of running) command.settle(ending);
  });
  let commands = 0;
  return { record, plan, session, running, nextNumber: () => (commands += 1) };
}

/** What lasts as long as the sandbox, and is ended with it. */
type Lasting = {
  readonly context: RunContext;
  readonly log: { close(): void; readonly events: AsyncIterable<RunEvent> };
  readonly interrupts: Disposable;
};

function handleOf(live: LiveSandbox, lasting: Lasting): Sandbox {
  const { record, session } = live;
  const { engine } = lasting.context;
  const { diskBytes, outputBytes } = record.task.quotas;
  let closing: Promise<Closed> | undefined;

  /** One that failed can be tried again. */
  function close(): Promise<Closed> {
    closing ??= destroy(record, lasting).catch((error: unknown) => {
      closing = undefined;
      throw error;
    });
    return closing;
  }

  const whileOpen = <T>(use: () => Promise<T>): Promise<T> => useWhileOpen(record, use);
  return {
    id: record.run,
    events: lasting.log.events,
    ended: record.ending.first,
    exec: (argv, options = {}) => whileOpen(() => runCommand(live, argv, options)),
    write: (path, content, { mode = 0o644 } = {}) =>
      whileOpen(() => writeSandboxFile(session, path, { content, mode, maxBytes: diskBytes })),
    read: (path, { maxBytes = outputBytes } = {}) => whileOpen(() => readSandboxFile(session, path, maxBytes)),
    list: (path = ".", { recursive = false } = {}) =>
      whileOpen(() => listSandboxFiles(session, path, { recursive, maxEntries: inodesOf(diskBytes) })),
    collect: (globs, out) => whileOpen(() => collectInto(record, { session, engine }, { globs, out })),
    egress: () => record.egress?.rows() ?? [],
    close,
    [Symbol.asyncDispose]: async () => void (await close()),
  };
}

/** Every use of the sandbox goes through here: one that fails since the sandbox has ended says that. */
async function useWhileOpen<T>(record: RunRecord, use: () => Promise<T>): Promise<T> {
  const ending = record.ending.current();
  if (ending !== undefined) throw endedError(ending);
  try {
    return await use();
  } catch (error) {
    const failure = await endingOfFailure(record, error);
    if (record.loss === undefined && record.ending.current() === undefined) throw toSandboxError(error);
    throw endedError(record.ending.current() ?? failure);
  }
}

async function destroy(record: RunRecord, { context, log, interrupts }: Lasting): Promise<Closed> {
  record.ending.settle({ reason: "interrupted", detail: "The sandbox was closed." });
  await destroySandbox(record);
  interrupts[Symbol.dispose]();
  log.close();
  if (record.task.egress.learn) context.onLearned?.(record.egress?.learned() ?? []);
  const { destroyed, proof } = record.destroyed;
  if (!destroyed && !record.task.keep) throw new SandboxError("DESTROY_FAILED", proof, "Run `sandbox prune` once the engine works again.");
  return { destroyed, proof };
}

/** The error for what kept a sandbox from being opened. */
function openingError(record: RunRecord): SandboxError {
  const ending = record.ending.current();
  if (ending?.error !== undefined) return new SandboxError(ending.error.code, ending.error.message, ending.error.hint);
  if (ending?.reason === "interrupted") return new SandboxError("INTERRUPTED", ending.detail, "Open it again.");
  return new SandboxError("START_FAILED", ending?.detail ?? "The sandbox could not be opened.", "Run `sandbox doctor`.");
}

function endedError({ detail, error }: Ending): SandboxError {
  return new SandboxError("SANDBOX_ENDED", `The sandbox has ended: ${detail}`, error?.hint ?? "Open another one.");
}
