/** What the egress benchmarks reach: HTTP, HTTPS and a plain protocol, all on this machine's loopback. */
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { createServer as createTlsServer } from "node:tls";

/** The name that the sandbox knows it by. */
export const ORIGIN_NAME = "origin.test";

const BODY_BYTES = 1024;
const HEAD = ["HTTP/1.1 200 OK", "Content-Type: application/octet-stream", `Content-Length: ${BODY_BYTES}`, "", ""].join("\r\n");
const ANSWER = Buffer.concat([Buffer.from(HEAD), Buffer.alloc(BODY_BYTES, "x")]);
const END_OF_HEAD = "\r\n\r\n";
const PIECE = Buffer.alloc(262_144);

/** Resolves to `{ http, https, raw, certificate, close }`: three ports, and the file of the certificate that HTTPS has. */
export async function openOrigin(directory) {
  const certificate = join(directory, "origin.pem");
  const key = join(directory, "origin.key");
  makeCertificate({ certificate, key });
  const tls = { cert: await readFile(certificate), key: await readFile(key) };
  const servers = [createServer(answer), createTlsServer(tls, answer), createServer(sendBytes)];
  for (const server of servers) await once(server.listen(0, "127.0.0.1"), "listening");
  const [http, https, raw] = servers.map((server) => server.address().port);
  const close = () => {
    for (const server of servers) server.close();
  };
  return { http, https, raw, certificate, close };
}

/** Answers each head of a request with the same KiB: a server that does more would be what is measured, on a machine with few cores. */
function answer(socket) {
  let head = "";
  socket.on("error", () => undefined).setNoDelay(true);
  socket.setEncoding("latin1").on("data", (text) => {
    head += text;
    for (let end = head.indexOf(END_OF_HEAD); end >= 0; end = head.indexOf(END_OF_HEAD)) {
      head = head.slice(end + END_OF_HEAD.length);
      socket.write(ANSWER);
    }
  });
}

/** Answers `bytes 500\n` with as many bytes. */
function sendBytes(socket) {
  socket.on("error", () => undefined).setNoDelay(true);
  socket.once("data", (line) => {
    let left = Number(/^bytes (\d+)\n$/.exec(line.toString("latin1"))?.[1]);
    const send = () => {
      while (left > 0) {
        const piece = PIECE.subarray(0, left);
        left -= piece.length;
        if (!socket.write(piece)) return;
      }
    };
    socket.on("drain", send);
    send();
  });
}

function makeCertificate({ certificate, key }) {
  const names = ["-subj", `/CN=${ORIGIN_NAME}`, "-addext", `subjectAltName=DNS:${ORIGIN_NAME},IP:127.0.0.1`];
  const form = ["-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"];
  execFileSync("openssl", ["req", ...form, ...names, "-keyout", key, "-out", certificate], { stdio: "ignore" });
}
