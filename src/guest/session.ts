import type { Duplex } from "node:stream";
import { SandboxError, toSandboxError } from "../core/errors.ts";
import { type Command, type CommandRequest, openCommand } from "./command.ts";
import type { Send } from "./credit.ts";
import { CONTROL_STREAM, encodeStrings, FrameType, frameName, MAGIC, PROTOCOL_VERSION } from "./frame.ts";
import { createFrameReader } from "./frame-reader.ts";
import { createSender } from "./frame-writer.ts";
import { FIRST_CONNECTION, Network } from "./network.ts";
import { createSettler, type Operation, type Settler } from "./operation.ts";
import { decodeStats, type GuestStats } from "./stats.ts";
import { createSweeps, type Sweeps } from "./sweeps.ts";
import { openPack, openUnpack, type Pack, type PackRequest, type Unpack } from "./transfer.ts";
import { guestFault, violation } from "./violation.ts";

export type SessionOptions = {
  /** Writable directories of the sandbox whose fill level `stats` reports, at most 16. */
  readonly watch: readonly string[];
};

/** Shakes hands with the guest at the other end of `pipe`. Rejects with `GUEST_LOST` or `GUEST_PROTOCOL`. */
export async function openSession(pipe: Duplex, options: SessionOptions): Promise<Session> {
  const session = new Session(pipe, options);
  await session.opened;
  return session;
}

/** Bytes that the guest may send on a stream before its reader has taken any. */
const HOST_WINDOW = 786_432;
const MIN_WINDOW = 4_096;
const MAX_WINDOW = 1_048_576;
/** An engine can lose the guest's first words while it connects us: when they are missing for so long, we ask for them again. */
const KNOCK_MS = 1_000;

/** The host's end of the pipe to one guest. Every promise of it rejects with `GUEST_LOST`, `GUEST_FAULT` or `GUEST_PROTOCOL` when the pipe is lost. */
export class Session {
  /** Settles, never rejects, with the reason when the pipe is lost. */
  readonly lost: Promise<SandboxError>;
  /** The sandbox's own loopback. */
  readonly network: Network;
  /** Settles when both ends agree on the version. */
  readonly opened: Promise<unknown>;
  readonly #pipe: Duplex;
  readonly #watch: readonly string[];
  readonly #send: Send;
  readonly #opened = createSettler<undefined>();
  readonly #lost = createSettler<SandboxError>();
  readonly #operations = new Map<number, Operation>();
  readonly #quiesced: Settler<undefined>[] = [];
  readonly #stats: Settler<GuestStats>[] = [];
  readonly #pongs: Settler<undefined>[] = [];
  readonly #sweeps: Sweeps;
  #guestWindow: number | undefined;
  #failure: SandboxError | undefined;
  #nextStream = 1;
  #knocks = 0;

  constructor(pipe: Duplex, options: SessionOptions) {
    this.#pipe = pipe;
    this.#watch = options.watch;
    this.#send = createSender(pipe);
    this.network = new Network(this.#send);
    this.#sweeps = createSweeps(this.#send);
    this.opened = this.#opened.promise;
    this.lost = this.#lost.promise;
    this.#listen();
    this.#knockUntilOpened();
  }

  exec(request: CommandRequest): Command {
    const { command, operation } = openCommand(this.#newStreams(2), request, this.#wire());
    this.#register(command.id, 2, operation);
    return command;
  }

  /** Unpacks a tar stream below a directory of the sandbox. */
  unpack(directory: string): Unpack {
    const id = this.#newStreams(1);
    const { unpack, operation } = openUnpack(id, directory, this.#wire());
    this.#register(id, 1, operation);
    return unpack;
  }

  /** Packs paths below a directory of the sandbox into a tar stream. */
  pack(request: PackRequest): Pack {
    const id = this.#newStreams(1);
    const { pack, operation } = openPack(id, request, this.#wire());
    this.#register(id, 1, operation);
    return pack;
  }

  /** Kills every process but the guest; settles when none is left, with what was counted until then. */
  async quiesce(): Promise<GuestStats> {
    const [, stats] = await Promise.all([this.#ask(this.#quiesced, FrameType.QUIESCE), this.stats()]);
    return stats;
  }

  /** Kills every process of one command, wherever it went; settles when none is left. `command` is the id of one that was opened here, also one that is over. */
  async sweep(command: number): Promise<void> {
    await this.#sweeps.ask(command);
  }

  stats(): Promise<GuestStats> {
    return this.#ask(this.#stats, FrameType.STATS_REQUEST);
  }

  /** One round trip. */
  async ping(): Promise<void> {
    await this.#ask(this.#pongs, FrameType.PING, Buffer.alloc(8));
  }

  /** Closes the pipe: the guest ends everything and exits. */
  close(): void {
    this.#pipe.end();
  }

  #listen(): void {
    const read = createFrameReader((stream, type, payload) => {
      if (stream === CONTROL_STREAM) this.#acceptControl(type, payload);
      else if (stream >= FIRST_CONNECTION) this.network.accept(stream, type, payload);
      else this.#acceptOperation(stream, type, payload);
    });
    const ended = (): void => {
      this.#fail(
        new SandboxError(
          "GUEST_LOST",
          "The sandbox ended while it was in use.",
          "Look at the result's reason; if nobody ended it, run `sandbox doctor`.",
        ),
      );
    };
    this.#pipe.on("end", ended).on("close", ended);
    this.#pipe.on("error", (cause) => {
      this.#fail(
        new SandboxError("GUEST_LOST", `The pipe to the sandbox broke: ${cause.message}.`, "Check the engine and the connection to it.", {
          cause,
        }),
      );
    });
    this.#pipe.on("data", (chunk: Buffer) => {
      if (this.#failure !== undefined) return;
      try {
        read(chunk);
      } catch (error) {
        this.#fail(toSandboxError(error));
      }
    });
  }

  #knockUntilOpened(): void {
    const timer = setInterval(() => {
      this.#knocks += 1;
      this.#send(CONTROL_STREAM, FrameType.KNOCK);
    }, KNOCK_MS).unref();
    const stop = (): void => clearInterval(timer);
    this.opened.then(stop, stop);
  }

  #acceptControl(type: number, payload: Buffer): void {
    if (this.#guestWindow === undefined) this.#acceptHello(type, payload);
    else if (type === FrameType.HELLO && this.#knocks > 0) this.#knocks -= 1;
    else if (type === FrameType.QUIESCED) takeReply(this.#quiesced, type).resolve(undefined);
    else if (type === FrameType.STATS) takeReply(this.#stats, type).resolve(decodeStats(payload, this.#watch.length));
    else if (type === FrameType.PONG) takeReply(this.#pongs, type).resolve(undefined);
    else if (type === FrameType.SWEPT) this.#sweeps.accept(payload);
    else if (type === FrameType.FAULT) this.#fail(guestFault(payload));
    else if (type === FrameType.LISTENING || type === FrameType.DATAGRAM) this.network.acceptControl(type, payload);
    else throw violation(`${frameName(type)} on the control stream`);
  }

  #acceptHello(type: number, payload: Buffer): void {
    if (type === FrameType.FAULT) {
      this.#fail(guestFault(payload));
      return;
    }
    if (type !== FrameType.HELLO || payload.length !== 12 || payload.toString("latin1", 0, 4) !== MAGIC)
      throw violation("it did not begin with HELLO");
    const version = payload.readUInt16BE(4);
    if (version !== PROTOCOL_VERSION) throw violation(`it speaks version ${version} and not ${PROTOCOL_VERSION}`);
    const window = payload.readUInt32BE(8);
    if (window < MIN_WINDOW || window > MAX_WINDOW) throw violation(`its window is ${window} bytes`);
    this.#guestWindow = window;
    const welcome = Buffer.alloc(8);
    welcome.writeUInt16BE(PROTOCOL_VERSION, 0);
    welcome.writeUInt32BE(HOST_WINDOW, 4);
    this.#send(CONTROL_STREAM, FrameType.WELCOME, Buffer.concat([welcome, encodeStrings(this.#watch)]));
    this.#opened.resolve(undefined);
  }

  #acceptOperation(stream: number, type: number, payload: Buffer): void {
    const operation = this.#operations.get(stream);
    if (operation === undefined) {
      const wasOpen = stream < this.#nextStream;
      if (wasOpen && (type === FrameType.CREDIT || type === FrameType.STOP)) return;
      throw violation(`${frameName(type)} on stream ${stream}, which is ${wasOpen ? "over" : "not open"}`);
    }
    operation.accept({ stream, type, payload });
    if (operation.isOver()) this.#forget(operation);
  }

  #newStreams(count: number): number {
    if (this.#failure !== undefined) throw this.#failure;
    const id = this.#nextStream;
    this.#nextStream += count;
    return id;
  }

  #register(id: number, count: number, operation: Operation): void {
    for (let stream = id; stream < id + count; stream += 1) this.#operations.set(stream, operation);
  }

  #forget(operation: Operation): void {
    for (const [stream, candidate] of this.#operations) if (candidate === operation) this.#operations.delete(stream);
  }

  #wire() {
    return { send: this.#send, hostWindow: HOST_WINDOW, guestWindow: this.#guestWindow ?? 0 };
  }

  #ask<T>(waiting: Settler<T>[], type: number, payload?: Buffer): Promise<T> {
    const reply = createSettler<T>();
    if (this.#failure !== undefined) reply.reject(this.#failure);
    else waiting.push(reply);
    this.#send(CONTROL_STREAM, type, payload);
    return reply.promise;
  }

  #fail(error: SandboxError): void {
    if (this.#failure !== undefined) return;
    this.#failure = error;
    this.#opened.reject(error);
    for (const waiting of [...this.#quiesced, ...this.#stats, ...this.#pongs]) waiting.reject(error);
    for (const operation of new Set(this.#operations.values())) operation.fail(error);
    this.#operations.clear();
    this.network.fail(error);
    this.#sweeps.fail(error);
    this.#lost.resolve(error);
    this.#pipe.destroy();
  }
}

function takeReply<T>(waiting: Settler<T>[], type: number): Settler<T> {
  const reply = waiting.shift();
  if (reply === undefined) throw violation(`${frameName(type)} that nobody asked for`);
  return reply;
}
