/**
 * The client of the egress benchmarks, the same on every side: takes one JSON line `{ id, job, … }` after the other on standard input and answers each
 * with a line of numbers on standard output. Without dependencies: it runs with whatever Node.js the image has.
 */
import { lookup } from "node:dns/promises";
import { once } from "node:events";
import { connect } from "node:net";
import { createInterface } from "node:readline";
import { connect as connectTls } from "node:tls";

const READ_BYTES = 262_144;

/** Milliseconds from a new connection to the first byte of what was asked for, `count` times. No look-up is part of it: a proxy's client does none. */
async function firstBytes({ count, ...asked }) {
  const way = asked.proxy === undefined ? { ...asked, address: (await lookup(asked.host)).address } : asked;
  const times = [];
  for (let at = 0; at < count; at += 1) {
    const from = performance.now();
    const socket = await open(way);
    socket.write(question(way));
    const [piece] = await once(socket, "data");
    times.push(performance.now() - from);
    if (!way.raw && !/^HTTP\/1\.[01] 200/.test(piece.toString())) throw new Error(piece.toString());
    socket.destroy();
  }
  return times;
}

/** Millions of bytes a second: `streams` downloads of `bytes` each at once. */
async function download({ streams, bytes, ...way }) {
  const buffer = Buffer.allocUnsafe(READ_BYTES);
  const from = performance.now();
  await Promise.all(Array.from({ length: streams }, () => downloadOne({ bytes, way, buffer })));
  return [(streams * bytes) / 1000 / (performance.now() - from)];
}

/** What arrives is counted and dropped, in one buffer for all: nothing here may take longer than reading. */
async function downloadOne({ bytes, way, buffer }) {
  let left = bytes;
  const over = deferred();
  let preamble = way.proxy === undefined ? 0 : undefined;
  const count = (length) => {
    if (preamble === undefined) {
      preamble = 0;
      if (!buffer.toString("latin1", 0, length).startsWith("HTTP/1.0 200") || buffer.indexOf("\r\n\r\n") !== length - 4)
        over.reject(new Error("no tunnel"));
      else socket.write(`bytes ${bytes}\n`);
      return true;
    }
    left -= length;
    if (left === 0) over.resolve();
    return true;
  };
  const { host, port } = way.proxy ?? way;
  const socket = connect({ host, port, onread: { buffer, callback: count } });
  socket.on("error", over.reject).on("close", () => over.reject(new Error(`${left} bytes are missing`)));
  socket.write(way.proxy === undefined ? `bytes ${bytes}\n` : tunnelTo(way));
  await over.promise;
  socket.destroy();
}

function deferred() {
  const made = {};
  made.promise = new Promise((resolve, reject) => Object.assign(made, { resolve, reject }));
  return made;
}

/** Milliseconds of each of `count` requests on each of `connections` kept connections. */
async function requests({ count, connections, ...way }) {
  const all = await Promise.all(Array.from({ length: connections }, () => askRepeatedly(count, way)));
  return all.flat();
}

/** Requests a second over the same. */
async function rate(job) {
  const sockets = await Promise.all(Array.from({ length: job.connections }, () => open(job)));
  const from = performance.now();
  await Promise.all(sockets.map((socket) => askOn(socket, job.count, job)));
  return [(job.connections * job.count * 1000) / (performance.now() - from)];
}

async function askRepeatedly(count, way) {
  return askOn(await open(way), count, way);
}

/** All answers are of one length, which the first one tells. */
async function askOn(socket, count, way) {
  const times = [];
  const text = question(way);
  const over = deferred();
  let first = "";
  let length;
  let arrived = 0;
  let from = performance.now();
  socket.on("error", over.reject).on("close", () => over.reject(new Error("The connection ended early.")));
  socket.on("data", (piece) => {
    arrived += piece.length;
    if (length === undefined) first += piece.toString("latin1");
    length ??= lengthOf(first);
    if (length === undefined || arrived < length) return;
    if (arrived > length || !first.startsWith("HTTP/1.1 200")) return over.reject(new Error(`${arrived} bytes: ${piece}`));
    times.push(performance.now() - from);
    arrived = 0;
    if (times.length === count) return over.resolve();
    from = performance.now();
    socket.write(text);
  });
  socket.write(text);
  await over.promise;
  socket.destroy();
  return times;
}

/** The length of an answer whose head is there. */
function lengthOf(answer) {
  const end = answer.indexOf("\r\n\r\n");
  if (end < 0) return undefined;
  const body = /\r\ncontent-length: (\d+)/i.exec(answer)?.[1];
  if (body === undefined) throw new Error(`An answer without a length: ${answer.slice(0, end)}`);
  return end + 4 + Number(body);
}

/** A connection that reaches the origin: direct, or through a proxy that forwards requests or tunnels. */
async function open({ host, address = host, port, proxy, tunnel, tls }) {
  const socket = connect({ ...(proxy ?? { host: address, port }), noDelay: true });
  await once(socket, "connect");
  if (proxy !== undefined && tunnel) {
    socket.write(tunnelTo({ host, port }));
    const [answer] = await once(socket, "data");
    if (!/^HTTP\/1\.[01] 200/.test(answer.toString())) throw new Error(`The proxy answers ${answer}`);
  }
  if (!tls) return socket;
  const secured = connectTls({ socket, servername: tls, rejectUnauthorized: false });
  await once(secured, "secureConnect");
  return secured;
}

function tunnelTo({ host, port }) {
  return `CONNECT ${host}:${port} HTTP/1.1\r\nHost: ${host}:${port}\r\n\r\n`;
}

function question({ host, port, proxy, tunnel, raw, tls }) {
  if (raw) return "bytes 1\n";
  const target = proxy !== undefined && !tunnel ? `http://${host}:${port}/` : "/";
  return `GET ${target} HTTP/1.1\r\nHost: ${tls ?? host}:${port}\r\n\r\n`;
}

const JOBS = { firstBytes, download, requests, rate };

for await (const line of createInterface({ input: process.stdin })) {
  const { job, ...rest } = JSON.parse(line);
  try {
    console.log(JSON.stringify({ values: await JOBS[job](rest) }));
  } catch (error) {
    console.log(JSON.stringify({ error: String(error.stack) }));
  }
}
