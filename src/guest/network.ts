import { errnoName } from "../core/signals.ts";
import { Connection, type Target } from "./connection.ts";
import type { Send } from "./credit.ts";
import { CONTROL_STREAM, FrameType, frameName } from "./frame.ts";
import { createSettler, type Settler } from "./operation.ts";
import { violation } from "./violation.ts";

/** Who decides about what the task sends. */
export type NetworkHandler = {
  /** Answers one datagram of at most 4,096 bytes, or drops it with `undefined`. Must not reject. */
  onDatagram(message: Buffer): Promise<Buffer | undefined>;
  /** Takes over one connection, already accepted inside. */
  onConnection(connection: Connection): void;
};

/** A place of the sandbox's own loopback; `address` in 127.0.0.0/8. */
export type Place = Target & { readonly protocol: "tcp" | "udp" };

/** The first id of a connection; all ids above it are opened by the guest. */
export const FIRST_CONNECTION = 0x8000_0000;
const PROTOCOLS = { tcp: 6, udp: 17 } as const;
const PLACE_BYTES = 8;
/** The guest remembers as many askers. */
const MAX_DATAGRAMS = 256;
const MAX_DATAGRAM_BYTES = 4_096;
/** As many descriptors as a container has. */
const MAX_CONNECTIONS = 4_096;

/** The host's side of the sandbox's loopback: what listens there, and what arrives. */
export class Network {
  readonly #send: Send;
  readonly #listening = new Map<string, Settler<string | undefined>>();
  readonly #connections = new Map<number, Connection>();
  #handler: NetworkHandler | undefined;
  #lastConnection = FIRST_CONNECTION - 1;
  #datagrams = 0;

  constructor(send: Send) {
    this.#send = send;
  }

  /** Names who decides; nothing listens before. */
  serve(handler: NetworkHandler): void {
    this.#handler = handler;
  }

  /** Has the guest listen at a place; settles with the name of an error number when it can't, such as `EADDRINUSE`. */
  listen(place: Place): Promise<string | undefined> {
    const wanted = encodePlace(place);
    const key = wanted.toString("hex");
    const known = this.#listening.get(key);
    if (known !== undefined) return known.promise;
    const settler = createSettler<string | undefined>();
    this.#listening.set(key, settler);
    this.#send(CONTROL_STREAM, FrameType.LISTEN, wanted);
    return settler.promise;
  }

  acceptControl(type: number, payload: Buffer): void {
    if (type === FrameType.LISTENING && payload.length === PLACE_BYTES + 4) this.#acceptListening(payload);
    else if (type === FrameType.DATAGRAM && payload.length >= 4 && payload.length <= 4 + MAX_DATAGRAM_BYTES) this.#acceptDatagram(payload);
    else throw violation(`${frameName(type)} of a wrong form`);
  }

  /** Takes a frame on a stream from `FIRST_CONNECTION` on. */
  accept(stream: number, type: number, payload: Buffer): void {
    const connection = this.#connections.get(stream);
    if (connection !== undefined) {
      if (connection.accept(type, payload)) this.#connections.delete(stream);
    } else if (stream === this.#lastConnection + 1) this.#open(stream, type, payload);
    else if (stream > this.#lastConnection || !MAY_CROSS.has(type)) throw violation(`${frameName(type)} on a connection that is not open`);
  }

  fail(error: Error): void {
    for (const settler of this.#listening.values()) settler.reject(error);
    for (const connection of this.#connections.values()) connection.fail(error);
    this.#connections.clear();
  }

  #acceptListening(payload: Buffer): void {
    const settler = this.#listening.get(payload.toString("hex", 0, PLACE_BYTES));
    if (settler === undefined) throw violation("LISTENING at a place that nobody asked for");
    const errno = payload.readUInt32BE(PLACE_BYTES);
    settler.resolve(errno === 0 ? undefined : errnoName(errno));
  }

  /** One that comes while many are unanswered is dropped, as a datagram may be. */
  #acceptDatagram(payload: Buffer): void {
    const handler = this.#handler;
    if (handler === undefined) throw violation("DATAGRAM where nothing listens");
    if (this.#datagrams >= MAX_DATAGRAMS) return;
    this.#datagrams += 1;
    const token = Buffer.from(payload.subarray(0, 4));
    const answered = handler.onDatagram(Buffer.from(payload.subarray(4)));
    void answered.then((reply) => {
      this.#datagrams -= 1;
      if (reply !== undefined) this.#send(CONTROL_STREAM, FrameType.DATAGRAM, Buffer.concat([token, reply]));
    });
  }

  #open(stream: number, type: number, payload: Buffer): void {
    const handler = this.#handler;
    if (type !== FrameType.CONNECTION || payload.length !== PLACE_BYTES || handler === undefined)
      throw violation(`${frameName(type)} on a new connection`);
    this.#lastConnection = stream;
    if (this.#connections.size >= MAX_CONNECTIONS) {
      this.#send(stream, FrameType.RESET);
      return;
    }
    const target = { address: [...payload.subarray(4)].join("."), port: payload.readUInt16BE(2) };
    const connection = new Connection(stream, { send: this.#send, target });
    this.#connections.set(stream, connection);
    connection.once("over", () => this.#connections.delete(stream));
    handler.onConnection(connection);
  }
}

/** What the guest may have sent before it learned that a connection is over. */
const MAY_CROSS: ReadonlySet<number> = new Set([FrameType.DATA, FrameType.EOF, FrameType.CREDIT, FrameType.RESET]);

function encodePlace({ protocol, address, port }: Place): Buffer {
  const payload = Buffer.alloc(PLACE_BYTES);
  payload.writeUInt8(PROTOCOLS[protocol], 0);
  payload.writeUInt16BE(port, 2);
  payload.set(address.split(".").map(Number), 4);
  return payload;
}
