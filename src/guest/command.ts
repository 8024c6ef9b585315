import type { Readable, Writable } from "node:stream";
import { SandboxError } from "../core/errors.ts";
import { errnoName } from "../core/signals.ts";
import type { Send } from "./credit.ts";
import { CreditReadable, CreditWritable } from "./credit-stream.ts";
import { encodeStrings, FrameType, frameName, MAX_PAYLOAD } from "./frame.ts";
import { createSettler, type Operation } from "./operation.ts";
import { violation } from "./violation.ts";

export type CommandRequest = {
  /** Program and arguments; a program without a slash is searched in the `PATH` of `env`. */
  readonly argv: readonly string[];
  /** The whole environment; nothing is added. */
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
  /** Without it, standard input is `/dev/null`. */
  readonly stdin: boolean;
  /** A terminal of this size in place of the three pipes; everything then arrives on `stdout`. */
  readonly terminal: { readonly rows: number; readonly columns: number } | undefined;
};

/** How the command's first process ended. CPU times in milliseconds, `maxRssBytes` of its largest process. */
export type CommandExit = {
  readonly code: number | undefined;
  readonly signal: number | undefined;
  readonly userMs: number;
  readonly systemMs: number;
  readonly maxRssBytes: number;
};

export type Command = {
  /** Its first stream. */
  readonly id: number;
  readonly stdin: Writable;
  readonly stdout: Readable;
  readonly stderr: Readable;
  /** Settles when the program runs; rejects with `NOT_FOUND`, `NOT_EXECUTABLE`, `BAD_PATH` or `GUEST_LOST`. */
  readonly started: Promise<{ readonly pid: number }>;
  /** Settles when the first process was reaped; output already written still follows. */
  readonly exited: Promise<CommandExit>;
  /** To the command's process group. Does nothing once it is gone. */
  signal(number: number): void;
  resize(size: { readonly rows: number; readonly columns: number }): void;
};

/** Longest argv and environment together in bytes, each string with its NUL. */
const MAX_COMMAND_BYTES = 1_048_576;

const FLAG_TERMINAL = 1;
const FLAG_STDIN = 2;

/** Asks the guest for a command on streams `id` and `id + 1`. */
export function openCommand(
  id: number,
  request: CommandRequest,
  wire: { send: Send; hostWindow: number; guestWindow: number },
): { command: Command; operation: Operation } {
  const { send } = wire;
  const stdin = new CreditWritable(id, { send, window: wire.guestWindow });
  const stdout = new CreditReadable(id, { send, window: wire.hostWindow });
  const stderr = new CreditReadable(id + 1, { send, window: wire.hostWindow });
  const started = createSettler<{ readonly pid: number }>();
  const exited = createSettler<CommandExit>();
  let state: "starting" | "running" | "ended" = "starting";

  function acceptState(type: number, payload: Buffer): void {
    if (type === FrameType.STARTED && state === "starting" && payload.length === 4) {
      state = "running";
      started.resolve({ pid: payload.readUInt32BE(0) });
    } else if (type === FrameType.EXIT && state === "running" && payload.length === 28) {
      state = "ended";
      exited.resolve(decodeExit(payload));
      stdin.refuse();
    } else if (type === FrameType.FAILED && state === "starting" && payload.length >= 8) {
      state = "ended";
      const error = startFailure(request, payload);
      started.reject(error);
      exited.reject(error);
      stdin.refuse();
    } else throw violation(`${frameName(type)} for a command that is ${state}`);
  }

  const operation: Operation = {
    accept({ stream, type, payload }) {
      const output = stream === id ? stdout : stderr;
      if (type === FrameType.DATA && state === "starting") throw violation("output of a command that has not started");
      if (type === FrameType.DATA) output.accept(payload);
      else if (type === FrameType.EOF) output.acceptEnd();
      else if (stream !== id) throw violation(`${frameName(type)} on a stream of standard error`);
      else if (type === FrameType.CREDIT && payload.length === 4) stdin.grant(payload.readUInt32BE(0));
      else if (type === FrameType.STOP) stdin.refuse();
      else acceptState(type, payload);
    },
    fail(error) {
      started.reject(error);
      exited.reject(error);
      for (const stream of [stdin, stdout, stderr]) abandon(stream, error);
    },
    isOver: () => state === "ended" && stdout.atEnd && stderr.atEnd,
  };
  sendRequest(id, request, send);
  const command: Command = {
    id,
    stdin,
    stdout,
    stderr,
    started: started.promise,
    exited: exited.promise,
    signal: (number) => {
      if (state !== "ended") send(id, FrameType.SIGNAL, Buffer.from([number]));
    },
    resize: ({ rows, columns }) => {
      if (state !== "ended") send(id, FrameType.RESIZE, encodeSize(rows, columns));
    },
  };
  return { command, operation };
}

/** Ends one of our streams because the pipe is gone, without making a lonely `error` event the end of the process. */
export function abandon(stream: Readable | Writable, error: Error): void {
  stream.on("error", () => undefined);
  stream.destroy(error);
}

function sendRequest(id: number, request: CommandRequest, send: Send): void {
  const environment = Object.entries(request.env).map(([name, value]) => `${name}=${value}`);
  const body = encodeStrings([request.cwd, ...request.argv, ...environment]);
  if (body.length > MAX_COMMAND_BYTES) {
    throw new SandboxError(
      "BAD_COMMAND",
      `The command and its environment take ${body.length} bytes; ${MAX_COMMAND_BYTES} is the most.`,
      "Pass large data on standard input or as a file.",
    );
  }
  for (let at = 0; at < body.length; at += MAX_PAYLOAD) send(id, FrameType.EXEC_BODY, body.subarray(at, at + MAX_PAYLOAD));
  const head = Buffer.alloc(14);
  head.writeUInt8((request.terminal ? FLAG_TERMINAL : 0) | (request.stdin ? FLAG_STDIN : 0), 0);
  if (request.terminal) encodeSize(request.terminal.rows, request.terminal.columns).copy(head, 2);
  head.writeUInt32BE(request.argv.length, 6);
  head.writeUInt32BE(environment.length, 10);
  send(id, FrameType.EXEC, head);
}

function encodeSize(rows: number, columns: number): Buffer {
  const size = Buffer.alloc(4);
  size.writeUInt16BE(Math.min(rows, 0xffff), 0);
  size.writeUInt16BE(Math.min(columns, 0xffff), 2);
  return size;
}

function decodeExit(payload: Buffer): CommandExit {
  const bySignal = payload.readUInt8(0) === 1;
  const value = payload.readUInt8(1);
  return {
    code: bySignal ? undefined : value,
    signal: bySignal ? value : undefined,
    userMs: Number(payload.readBigUInt64BE(4)) / 1000,
    systemMs: Number(payload.readBigUInt64BE(12)) / 1000,
    maxRssBytes: Number(payload.readBigUInt64BE(20)) * 1024,
  };
}

function startFailure(request: CommandRequest, payload: Buffer): SandboxError {
  const stage = payload.readUInt8(0);
  const errno = errnoName(payload.readUInt32BE(4));
  const program = request.argv[0] ?? "";
  if (stage === 2)
    return new SandboxError(
      "BAD_PATH",
      `The working directory ${request.cwd} can't be entered: ${errno}.`,
      "Name a directory that exists in the sandbox with --workdir.",
    );
  if (stage === 1)
    return new SandboxError(
      "START_FAILED",
      `The sandbox has no resources left for another command: ${errno}.`,
      request.terminal === undefined
        ? "Raise --pids-limit or --memory."
        : "Raise --pids-limit or --memory; all containers of a machine share its terminals, so that another one may hold them.",
    );
  if (errno === "ENOENT")
    return new SandboxError(
      "NOT_FOUND",
      `The command "${program}" was not found in the image.`,
      "Check its spelling, or use an image that has it.",
    );
  if (errno === "E2BIG")
    return new SandboxError(
      "NOT_EXECUTABLE",
      `The command "${program}" can't be executed: its arguments are too long (E2BIG).`,
      "Pass large data on standard input or as a file.",
    );
  return new SandboxError(
    "NOT_EXECUTABLE",
    `The command "${program}" can't be executed: ${errno}.`,
    "Check that it is an executable file for the image's architecture.",
  );
}
