/**
 * The world of the egress tests, run in network and mount namespaces of its own: addresses of the Internet and of private networks, name servers
 * whose answers the test sets, origins on TCP and UDP. It writes down everything that arrives. Commands come in and answers go out as lines of JSON.
 */
import { execFileSync } from "node:child_process";
import { createSocket } from "node:dgram";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer as createHttp } from "node:http";
import { createServer } from "node:net";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { createServer as createTls } from "node:tls";

const { addresses, directory } = JSON.parse(process.argv[2] ?? "{}");

let table = {};
let turns = new Map();
let arrivals = [];

const note = (arrival) => arrivals.push(arrival);

function settle() {
  execFileSync("ip", ["link", "set", "lo", "up"]);
  for (const address of addresses) {
    const bits = address.includes(":") ? "128" : "32";
    execFileSync("ip", ["address", "add", `${address}/${bits}`, "dev", "lo", ...(bits === "128" ? ["nodad"] : [])]);
  }
  const own = mkdtempSync(join(directory, "etc-"));
  for (const [name, text] of Object.entries({ "resolv.conf": "nameserver 127.0.0.1\n", hosts: "127.0.0.1 localhost\n" })) {
    writeFileSync(join(own, name), text);
    execFileSync("mount", ["--bind", join(own, name), `/etc/${name}`]);
  }
  process.on("exit", () => rmSync(own, { recursive: true, force: true }));
}

/** What a name has in its turn: the answers of a list come one after the other, the last one for ever. */
function recordsOf(name, type) {
  const answers = table[name];
  if (answers === undefined) return undefined;
  const key = `${name} ${type}`;
  const turn = turns.get(key) ?? 0;
  turns.set(key, turn + 1);
  const now = answers[Math.min(turn, answers.length - 1)] ?? [];
  return now.filter((address) => address.includes(":") === (type === 28));
}

function bytesOf(address) {
  if (!address.includes(":")) return Buffer.from(address.split(".").map(Number));
  const [head = "", tail = ""] = address.split("::");
  const [before, after] = [head, tail].map((part) => part.split(":").filter((group) => group !== ""));
  const groups = [...before, ...Array(8 - before.length - after.length).fill("0"), ...after];
  return Buffer.from(groups.map((group) => group.padStart(4, "0")).join(""), "hex");
}

function answer(message) {
  const labels = [];
  let at = 12;
  while (message[at] > 0) {
    labels.push(message.toString("latin1", at + 1, at + 1 + message[at]));
    at += 1 + message[at];
  }
  const name = labels.join(".").toLowerCase();
  const type = message.readUInt16BE(at + 1);
  const records = type === 1 || type === 28 ? recordsOf(name, type) : table[name] && [];
  const header = Buffer.alloc(12);
  message.copy(header, 0, 0, 2);
  header.writeUInt16BE(records === undefined ? 0x8183 : 0x8180, 2);
  header.writeUInt16BE(1, 4);
  header.writeUInt16BE(records?.length ?? 0, 6);
  const written = (records ?? []).map((address) => {
    const data = bytesOf(address);
    return Buffer.concat([Buffer.from([0xc0, 12, 0, type, 0, 1, 0, 0, 0, 0, 0, data.length]), data]);
  });
  return { name, type, reply: Buffer.concat([header, message.subarray(12, at + 5), ...written]) };
}

function openNames(address) {
  const socket = createSocket(address.includes(":") ? "udp6" : "udp4");
  socket.on("message", (message, from) => {
    const { name, type, reply } = answer(message);
    note({ kind: "query", to: address, name, type });
    socket.send(reply, from.port, from.address);
  });
  return bound(socket, 53, address);
}

function openDatagrams(port, address) {
  const socket = createSocket(address.includes(":") ? "udp6" : "udp4");
  socket.on("message", (message, from) => {
    note({ kind: "datagram", to: address, port });
    socket.send(message, from.port, from.address);
  });
  return bound(socket, port, address);
}

function bound(socket, port, address) {
  return new Promise((resolve, reject) => socket.once("error", reject).bind(port, address, resolve));
}

const plain = (address) => (address ?? "").replace(/^::ffff:/, "");

function serveHttp(request, response) {
  const body = [];
  const { socket } = request;
  const arrival = { kind: "request", to: plain(socket.localAddress), port: socket.localPort, method: request.method };
  note({ ...arrival, target: request.url, headers: request.rawHeaders, host: request.headers.host ?? null });
  request.on("error", () => undefined).on("data", (piece) => body.push(piece));
  if (request.url === "/silent") return;
  if (request.url === "/resets") {
    response.writeHead(200, { "Content-Length": "1000" });
    const reset = () => socket.resetAndDestroy();
    // With a body: once the first piece was answered, at the next.
    if (request.method === "GET") response.write("half of it", reset);
    else request.once("data", () => response.write("half of it", () => request.once("data", reset)));
    return;
  }
  request.on("end", () => {
    if (request.url === "/redirects") response.writeHead(302, { Location: "http://denied.test/" });
    response.end(`reached ${request.headers.host ?? ""} ${Buffer.concat(body).length}\n`);
  });
}

function listening(server, port) {
  server.on("connection", (socket) => {
    note({ kind: "connection", to: plain(socket.localAddress), port });
    socket.on("error", () => undefined);
  });
  return new Promise((resolve, reject) => server.once("error", reject).listen({ port, host: "::", backlog: 4096 }, resolve));
}

async function open() {
  settle();
  const [key, cert] = ["key.pem", "cert.pem"].map((file) => readFileSync(join(directory, file)));
  const secure = createTls({ key, cert }, (socket) => {
    note({ kind: "tls", to: plain(socket.localAddress), port: 443, serverName: socket.servername || null });
    socket.on("error", () => undefined).once("data", () => socket.end("reached\n"));
  });
  secure.on("tlsClientError", () => undefined);
  const echo = () => createServer({ allowHalfOpen: true }, (socket) => socket.pipe(socket));
  const sink = () => createServer((socket) => socket.resume());
  /** Answers what comes first, and breaks off when more comes. */
  const resetting = () =>
    createServer((socket) =>
      socket.once("data", () => socket.write("half of it", () => socket.once("data", () => socket.resetAndDestroy()))),
    );
  await Promise.all([
    listening(createHttp({ insecureHTTPParser: true, maxHeaderSize: 256 * 1024, requestTimeout: 0 }, serveHttp), 80),
    listening(resetting(), 6000),
    listening(secure, 443),
    listening(echo(), 7),
    listening(echo(), 5432),
    listening(echo(), 2375),
    listening(sink(), 9),
    listening(sink(), 53),
    openNames("127.0.0.1"),
    openNames(addresses[0]),
    ...addresses.map((address) => openDatagrams(443, address)),
    ...addresses.map((address) => openDatagrams(7, address)),
  ]);
}

const COMMANDS = {
  names: (names) => {
    table = names;
    turns = new Map();
    arrivals = [];
  },
  arrivals: () => arrivals,
};

await open();
process.stdout.write("null\n");
for await (const line of createInterface({ input: process.stdin })) {
  const [command, argument] = JSON.parse(line);
  // What arrived before the command is taken in before it.
  for (let turn = 0; turn < 3; turn += 1) await new Promise((resolve) => setImmediate(resolve));
  process.stdout.write(`${JSON.stringify(COMMANDS[command](argument) ?? null)}\n`);
}
process.exit(0);
