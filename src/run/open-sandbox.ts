import { SandboxError, toSandboxError } from "../core/errors.ts";
import type { EgressRow } from "../egress/accounts/ledger.ts";
import { inodesOf, WORKSPACE } from "../engine/posture.ts";
import type { Artifact } from "../files/collect.ts";
import type { Refusal } from "../files/scan-workspace.ts";
import type { Listing } from "../files/take-files.ts";
import type { Task } from "../policy/task.ts";
import { parseWorkspacePath } from "../policy/task-fields.ts";
import { collectInto } from "./collect-files.ts";
import type { RunContext } from "./context.ts";
import { endingOfFailure } from "./diagnose.ts";
import { openEgress } from "./egress.ts";
import type { Ending } from "./ending.ts";
import { createEventLog } from "./event-log.ts";
import type { RunEvent } from "./events.ts";
import { watchInterrupts } from "./interrupts.ts";
import { prepareSandbox } from "./prepare-sandbox.ts";
import { openRecord, type RunRecord } from "./record.ts";
import { type ExecOptions, type ExecResult, type LiveSandbox, runCommand } from "./run-command.ts";
import { destroySandbox } from "./sandbox.ts";

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

/** What a file is written from. A stream is held in memory until its end, since its length stands before it. */
export type Content = string | Uint8Array | AsyncIterable<string | Uint8Array>;

/** How long one file or listing may take to come out. */
const TRANSFER_MS = 120_000;

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
    throw errorOf(record);
  }
}

async function open(record: RunRecord, context: RunContext): Promise<LiveSandbox> {
  const prepared = await prepareSandbox(record, context);
  if (prepared === undefined) throw errorOf(record);
  const { plan, session } = prepared;
  record.egress = await openEgress(record, plan.egress, { session, context });
  if (record.ending.current() !== undefined) throw errorOf(record);
  const running: LiveSandbox["running"] = new Set();
  void record.ending.first.then((ending) => {
    for (const command of running) command.settle(ending);
  });
  let commands = 0;
  return { record, plan, session, running, number: () => (commands += 1) };
}

type Behind = {
  readonly context: RunContext;
  readonly log: { close(): void; readonly events: AsyncIterable<RunEvent> };
  readonly interrupts: Disposable;
};

function handleOf(live: LiveSandbox, { context, log, interrupts }: Behind): Sandbox {
  const { record, session } = live;
  const { diskBytes, outputBytes } = record.task.quotas;
  let closing: Promise<Closed> | undefined;

  async function destroy(): Promise<Closed> {
    record.ending.settle({ reason: "interrupted", detail: "The sandbox was closed." });
    await destroySandbox(record);
    interrupts[Symbol.dispose]();
    log.close();
    if (record.task.egress.learn) context.onLearned?.(record.egress?.learned() ?? []);
    const { destroyed, proof } = record.destroyed;
    if (!destroyed && !record.task.keep)
      throw new SandboxError("DESTROY_FAILED", proof, "Run `sandbox prune` once the engine works again.");
    return { destroyed, proof };
  }

  /** One that failed can be tried again. */
  function close(): Promise<Closed> {
    closing ??= destroy().catch((error: unknown) => {
      closing = undefined;
      throw error;
    });
    return closing;
  }

  /** Every use goes through here. */
  async function whileOpen<T>(use: () => Promise<T>): Promise<T> {
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

  return {
    id: record.run,
    events: log.events,
    ended: record.ending.first,
    exec: (argv, options = {}) => whileOpen(() => runCommand(live, argv, options)),
    write: (path, content, { mode = 0o644 } = {}) =>
      whileOpen(async () => {
        const { putFile } = await import("../files/put-file.ts");
        const file = { path: fileBelow(path), mode: assertMode(mode), content: await wholeOf(content, diskBytes) };
        const [note] = await putFile(session.unpack(WORKSPACE), file);
        if (note !== undefined) throw unwritten(path, note.why);
      }),
    read: (path, { maxBytes = outputBytes } = {}) =>
      whileOpen(async () => {
        const { takeFile } = await import("../files/take-files.ts");
        const plain = fileBelow(path);
        assertBytes(maxBytes);
        const signal = AbortSignal.timeout(TRANSFER_MS);
        return takeFile(session.pack({ directory: WORKSPACE, paths: [plain] }), { path: plain, maxBytes, signal });
      }),
    list: (path = ".", { recursive = false } = {}) =>
      whileOpen(async () => {
        const { listFiles } = await import("../files/take-files.ts");
        const plain = parseWorkspacePath(path);
        const limits = { maxBytes: Number.MAX_SAFE_INTEGER, maxEntries: inodesOf(diskBytes) };
        const signal = AbortSignal.timeout(TRANSFER_MS);
        return listFiles(session.pack({ directory: WORKSPACE, paths: [plain] }), { path: plain, recursive, limits, signal });
      }),
    collect: (globs, out) => whileOpen(() => collectInto(record, { session, engine: context.engine }, { globs, out })),
    egress: () => record.egress?.rows() ?? [],
    close,
    [Symbol.asyncDispose]: async () => void (await close()),
  };
}

function fileBelow(path: string): string {
  const plain = parseWorkspacePath(path);
  if (plain !== "." && !path.endsWith("/")) return plain;
  throw new SandboxError("BAD_PATH", `${JSON.stringify(path)} is a directory, not a file.`, "Write a path such as out/report.txt.");
}

function assertBytes(maxBytes: number): void {
  if (maxBytes >= 0) return;
  throw new SandboxError("USAGE", `maxBytes is ${maxBytes}, which is not a number of bytes.`, "Write a whole number such as 65536.");
}

function assertMode(mode: number): number {
  if (Number.isInteger(mode) && mode >= 0 && mode <= 0o777) return mode;
  throw new SandboxError("USAGE", `The mode ${mode} is not permission bits.`, "Write a number from 0 to 0o777, such as 0o755.");
}

async function wholeOf(content: Content, maxBytes: number): Promise<Uint8Array> {
  if (typeof content === "string") return Buffer.from(content);
  if (content instanceof Uint8Array) return content;
  const pieces: Buffer[] = [];
  let bytes = 0;
  for await (const piece of content) {
    pieces.push(Buffer.from(piece));
    bytes += piece.length;
    if (bytes > maxBytes)
      throw new SandboxError("COPY_IN_FAILED", `The stream has more than the ${maxBytes} bytes of the workspace.`, "Raise the disk quota.");
  }
  return Buffer.concat(pieces);
}

function unwritten(path: string, why: string): SandboxError {
  return new SandboxError(
    "COPY_IN_FAILED",
    `${JSON.stringify(path)} can't be written in the sandbox: ${why}.`,
    "Check that nothing but a file is there, and that the sandbox's user may write to the directory.",
  );
}

/** The error for what kept a sandbox from being opened. */
function errorOf(record: RunRecord): SandboxError {
  const ending = record.ending.current();
  if (ending?.error !== undefined) return new SandboxError(ending.error.code, ending.error.message, ending.error.hint);
  if (ending?.reason === "interrupted") return new SandboxError("INTERRUPTED", ending.detail, "Open it again.");
  return new SandboxError("START_FAILED", ending?.detail ?? "The sandbox could not be opened.", "Run `sandbox doctor`.");
}

function endedError({ detail, error }: Ending): SandboxError {
  return new SandboxError("SANDBOX_ENDED", `The sandbox has ended: ${detail}`, error?.hint ?? "Open another one.");
}
