import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { chmodSync, copyFileSync, mkdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll } from "vitest";
import { createDecoder, encodeFrame, type Frame, strings, Type, u16, u32 } from "./codec.ts";

const ROOT = join(import.meta.dirname, "..", "..");
export const TASK_UID = 65_532;
const OWN_NETWORK = 'ip link set lo up && echo 0 > /proc/sys/net/ipv4/ip_unprivileged_port_start && exec "$@"';
export const GUEST_WINDOW = 524_288;

/** While the tests of a file run, the guest, built anew if its sources changed, lies where the task's user can execute it. */
export function installGuest(): { readonly path: string; readonly folder: string } {
  const folder = join(tmpdir(), `guest-e2e-${randomUUID()}`);
  const path = join(folder, "guest");
  beforeAll(() => {
    execFileSync(process.execPath, [join(ROOT, "scripts", "build-guest.mjs")], { stdio: ["ignore", "ignore", "inherit"] });
    mkdirSync(folder);
    chmodSync(folder, 0o755);
    copyFileSync(join(ROOT, "dist", "guest", `linux-${process.arch}`, "guest"), path);
    chmodSync(path, 0o755);
  }, 60_000);
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  return { path, folder };
}

export type GuestOptions = {
  /** DATA bytes that the guest may send on a new stream. */
  readonly window?: number;
  readonly watch?: readonly string[];
  /** Limits as `prlimit` takes them, such as `--nofile=10`. */
  readonly limits?: readonly string[];
  /** In a network namespace of its own, with nothing but loopback, where ports below 1024 are free for all. */
  readonly network?: boolean;
  /** Send WELCOME. */
  readonly welcome?: boolean;
};

export type CommandOptions = {
  readonly env?: readonly string[];
  readonly cwd?: string;
  readonly stdin?: boolean;
  readonly terminal?: { readonly rows: number; readonly columns: number };
};

export type CommandOutcome = {
  readonly exit: Buffer | undefined;
  readonly failed: Buffer | undefined;
  readonly stdout: string;
  readonly stderr: string;
  readonly order: readonly number[];
};

/** The guest as process 1 of its own PID namespace, with the task's uid and no capability, as in a container. */
export async function startGuest(path: string, options: GuestOptions = {}): Promise<GuestProcess> {
  const user = [
    "setpriv",
    "--reuid",
    `${TASK_UID}`,
    "--regid",
    `${TASK_UID}`,
    "--clear-groups",
    "--no-new-privs",
    "--bounding-set",
    "-all",
    "--inh-caps",
    "-all",
  ];
  const limits = options.limits === undefined ? [] : ["prlimit", ...options.limits];
  const own = options.network === true ? ["--net", "--", "sh", "-c", OWN_NETWORK, "sh"] : ["--"];
  const child = spawn("unshare", ["--pid", "--fork", "--kill-child", "--mount-proc", ...own, ...user, ...limits, path], {
    env: { PATH: process.env["PATH"] },
    stdio: ["pipe", "pipe", "inherit"],
  });
  const guest = new GuestProcess(child);
  const hello = await guest.next((frame) => frame.type === Type.HELLO);
  if (!hello.payload.equals(Buffer.concat([Buffer.from("BJAR"), u16(1, 0), u32(GUEST_WINDOW)])))
    throw new Error(`HELLO is ${hello.payload.toString("hex")}`);
  if (options.welcome !== false)
    guest.send(0, Type.WELCOME, Buffer.concat([u16(1, 0), u32(options.window ?? 1_048_576), strings(...(options.watch ?? []))]));
  return guest;
}

type Waiter = {
  readonly wants: (frame: Frame) => boolean;
  readonly resolve: (frame: Frame) => void;
  readonly reject: (error: Error) => void;
};

/** Sends frames, and hands out what the guest said to whoever asks first for it. */
export class GuestProcess {
  /** Settles with the exit status once everything in the namespace is gone. */
  readonly ended: Promise<number | null>;
  readonly #child: ChildProcess;
  readonly #frames: Frame[] = [];
  readonly #waiters: Waiter[] = [];
  #over = false;
  #next = 1;

  constructor(child: ChildProcess) {
    this.#child = child;
    this.ended = once(child, "exit").then(([code]: (number | null)[]) => code ?? null);
    const decode = createDecoder();
    child.stdin?.on("error", () => undefined);
    child.stdout?.on("data", (chunk: Buffer) => {
      for (const frame of decode(chunk)) this.#take(frame);
    });
    child.stdout?.on("close", () => {
      this.#over = true;
      for (const waiter of this.#waiters.splice(0)) waiter.reject(new Error("the guest ended"));
    });
  }

  send(stream: number, type: number, payload?: Uint8Array): void {
    this.sendBytes(encodeFrame(stream, type, payload));
  }

  sendBytes(bytes: Buffer): void {
    this.#child.stdin?.write(bytes);
  }

  /** The first frame, heard already or still to come, that fits. */
  next(wants: (frame: Frame) => boolean): Promise<Frame> {
    const index = this.#frames.findIndex(wants);
    const heard = this.#frames[index];
    if (heard !== undefined) {
      this.#frames.splice(index, 1);
      return Promise.resolve(heard);
    }
    if (this.#over) return Promise.reject(new Error("the guest ended"));
    return new Promise((resolve, reject) => this.#waiters.push({ wants, resolve, reject }));
  }

  /** The next frame of a type on a stream. */
  expect(stream: number, type: number): Promise<Frame> {
    return this.next((frame) => frame.stream === stream && frame.type === type);
  }

  /** Everything that was heard and nobody asked for. */
  heard(): readonly Frame[] {
    return this.#frames;
  }

  /** Everything that the guest was sent before has been handled when this settles. */
  async ping(): Promise<void> {
    this.send(0, Type.PING, Buffer.from("12345678"));
    await this.expect(0, Type.PONG);
  }

  newStream(count = 1): number {
    const stream = this.#next;
    this.#next += count;
    return stream;
  }

  /** Returns the command's first stream. */
  exec(argv: readonly string[], options: CommandOptions = {}): number {
    const stream = this.newStream(2);
    const env = options.env ?? [`PATH=${process.env["PATH"] ?? ""}`];
    const flags = (options.terminal === undefined ? 0 : 1) | (options.stdin === true ? 2 : 0);
    const size = options.terminal ?? { rows: 0, columns: 0 };
    this.send(stream, Type.EXEC_BODY, strings(options.cwd ?? "/", ...argv, ...env));
    this.send(stream, Type.EXEC, Buffer.concat([Buffer.from([flags, 0]), u16(size.rows, size.columns), u32(argv.length, env.length)]));
    return stream;
  }

  /** Takes everything a command says until both its streams have ended, granting credit for it. */
  async outcome(stream: number): Promise<CommandOutcome> {
    const output: [Buffer[], Buffer[]] = [[], []];
    const order: number[] = [];
    let exit: Buffer | undefined;
    let failed: Buffer | undefined;
    for (let ends = 0; ends < 2; ) {
      const frame = await this.next((candidate) => candidate.stream === stream || candidate.stream === stream + 1);
      order.push(frame.type);
      if (frame.type === Type.DATA) {
        output[frame.stream === stream ? 0 : 1].push(frame.payload);
        this.send(frame.stream, Type.CREDIT, u32(frame.payload.length));
      } else if (frame.type === Type.EOF) ends += 1;
      else if (frame.type === Type.EXIT) exit = frame.payload;
      else if (frame.type === Type.FAILED) failed = frame.payload;
    }
    // EXIT may come after both ends when the command closed its output early.
    if (exit === undefined && failed === undefined) exit = (await this.expect(stream, Type.EXIT)).payload;
    const [stdout, stderr] = output.map((pieces) => Buffer.concat(pieces).toString("latin1")) as [string, string];
    return { exit, failed, stdout, stderr, order };
  }

  run(argv: readonly string[], options?: CommandOptions): Promise<CommandOutcome> {
    return this.outcome(this.exec(argv, options));
  }

  sh(script: string, options?: CommandOptions): Promise<CommandOutcome> {
    return this.run(["sh", "-c", script], options);
  }

  /** Ends the guest's input. */
  end(): void {
    this.#child.stdin?.end();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.end();
    await this.ended;
  }

  #take(frame: Frame): void {
    const index = this.#waiters.findIndex((waiter) => waiter.wants(frame));
    const waiter = this.#waiters[index];
    if (waiter === undefined) {
      this.#frames.push(frame);
      return;
    }
    this.#waiters.splice(index, 1);
    waiter.resolve(frame);
  }
}
