import { describe, expect, test } from "vitest";
import { Type, u16, u32 } from "./codec.ts";
import { type GuestProcess, installGuest, startGuest } from "./guest-process.ts";

const TCP = 6;
const UDP = 17;
const EADDRINUSE = 98;
const WINDOW = 262_144;
const FIRST = 0x8000_0000;
const ENV = [`PATH=${process.env["PATH"] ?? ""}`, `HOME=/tmp`, `PYENV_VERSION=system`];

const installed = installGuest();

function startNetworked(limits: readonly string[] = []): Promise<GuestProcess> {
  return startGuest(installed.path, { network: true, limits });
}

function place(protocol: number, address: readonly number[], port: number): Buffer {
  return Buffer.concat([Buffer.from([protocol, 0]), u16(port), Buffer.from(address)]);
}

/** Has it listen, and gives the error number that it answers. */
async function listen(guest: GuestProcess, protocol: number, port: number, address: readonly number[] = [127, 9, 8, 7]): Promise<number> {
  const wanted = place(protocol, address, port);
  guest.send(0, Type.LISTEN, wanted);
  const { payload } = await guest.expect(0, Type.LISTENING);
  expect(payload.subarray(0, 8)).toEqual(wanted);
  return payload.readUInt32BE(8);
}

/** Starts a Python program inside; `s` is a socket that is connected to 127.9.8.7:443. */
function connecting(guest: GuestProcess, program: string): number {
  const script = `import socket\ns = socket.create_connection(("127.9.8.7", 443))\n${program}`;
  return guest.exec(["/usr/bin/python3", "-c", script], { env: ENV });
}

/** All DATA on a stream up to its EOF, granted as it comes. */
async function readAll(guest: GuestProcess, stream: number): Promise<number> {
  for (let bytes = 0; ; ) {
    const frame = await guest.next((candidate) => candidate.stream === stream && candidate.type !== Type.CREDIT);
    if (frame.type === Type.EOF) return bytes;
    expect(frame.type).toBe(Type.DATA);
    bytes += frame.payload.length;
    guest.send(stream, Type.CREDIT, u32(frame.payload.length));
  }
}

/** Sends so many bytes as far as credit goes, then EOF. */
async function writeAll(guest: GuestProcess, stream: number, bytes: number): Promise<void> {
  let credit = WINDOW;
  for (let left = bytes; left > 0; ) {
    const length = Math.min(left, credit, 65_536);
    if (length === 0) {
      credit += (await guest.expect(stream, Type.CREDIT)).payload.readUInt32BE(0);
      continue;
    }
    guest.send(stream, Type.DATA, Buffer.alloc(length, 120));
    credit -= length;
    left -= length;
  }
  guest.send(stream, Type.EOF);
}

describe("a listener", () => {
  test("says what became of it", async () => {
    await using guest = await startNetworked();
    expect(await listen(guest, TCP, 443)).toBe(0);
    expect(await listen(guest, TCP, 443)).toBe(EADDRINUSE);
    expect(await listen(guest, TCP, 80)).toBe(0);
  });

  test("names each connection by the place it went to, in the order they came", async () => {
    await using guest = await startNetworked();
    await listen(guest, TCP, 443);
    const command = connecting(guest, 's.sendall(b"one"); print(s.recv(9))');
    const opened = await guest.expect(FIRST, Type.CONNECTION);
    expect(opened.payload).toEqual(place(0, [127, 9, 8, 7], 443));
    expect((await guest.expect(FIRST, Type.DATA)).payload.toString()).toBe("one");
    guest.send(FIRST, Type.DATA, Buffer.from("two"));
    expect((await guest.outcome(command)).stdout).toBe("b'two'\n");
    connecting(guest, "s.recv(1)");
    await guest.expect(FIRST + 1, Type.CONNECTION);
  });

  test("carries a thousand connections at once", { timeout: 60_000 }, async () => {
    await using guest = await startNetworked(["--nofile=4096"]);
    await listen(guest, TCP, 443);
    const program = [
      "import socket",
      'all = [socket.create_connection(("127.9.8.7", 443)) for _ in range(1000)]',
      'for at, s in enumerate(all): s.sendall(b"%04d" % at)',
      'print(sum(s.recv(4) == b"%04d" % at for at, s in enumerate(all)))',
    ].join("\n");
    const command = guest.exec(["/usr/bin/python3", "-c", program], { env: ENV });
    for (let at = 0; at < 1_000; at += 1) {
      const { payload } = await guest.expect(FIRST + at, Type.DATA);
      guest.send(FIRST + at, Type.DATA, payload);
    }
    expect((await guest.outcome(command)).stdout).toBe("1000\n");
  });

  test("turns away what it has no descriptor for, and goes on when there is one again", async () => {
    await using guest = await startNetworked(["--nofile=40:4096"]);
    await listen(guest, TCP, 443);
    const program = [
      "import resource, select, socket",
      "resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))",
      'all = [socket.create_connection(("127.9.8.7", 443)) for _ in range(60)]',
      "gone = select.select(all, [], [])[0][0]",
      "try: print(gone.recv(1))",
      "except ConnectionResetError: print('turned away', flush=True)",
      "for s in all: s.close()",
      "while True:",
      "  try:",
      '    s = socket.create_connection(("127.9.8.7", 443)); s.sendall(b"!"); s.recv(1)',
      "    break",
      "  except ConnectionError: pass",
    ].join("\n");
    guest.exec(["/usr/bin/python3", "-c", program], { env: ENV });
    const said = await guest.next((frame) => frame.type === Type.DATA && frame.stream < FIRST);
    expect(said.payload.toString()).toBe("turned away\n");
    for (;;) {
      const frame = await guest.next(({ stream, type }) => stream >= FIRST && (type === Type.EOF || type === Type.DATA));
      if (frame.type === Type.DATA) break;
      guest.send(frame.stream, Type.RESET);
    }
  });
});

describe("a connection", () => {
  test("ends each direction by itself", async () => {
    await using guest = await startNetworked();
    await listen(guest, TCP, 443);
    const command = connecting(guest, 's.sendall(b"ask"); s.shutdown(socket.SHUT_WR)\nprint(s.recv(9), s.recv(9))');
    await guest.expect(FIRST, Type.EOF);
    guest.send(FIRST, Type.DATA, Buffer.from("answer"));
    guest.send(FIRST, Type.EOF);
    expect((await guest.outcome(command)).stdout).toBe("b'answer' b''\n");
  });

  test("that the host breaks off is a reset for the task", async () => {
    await using guest = await startNetworked();
    await listen(guest, TCP, 443);
    const command = connecting(guest, "try: print(s.recv(9))\nexcept ConnectionResetError: print('reset')");
    await guest.expect(FIRST, Type.CONNECTION);
    guest.send(FIRST, Type.RESET);
    expect((await guest.outcome(command)).stdout).toBe("reset\n");
    guest.send(FIRST, Type.DATA, Buffer.from("late"));
    guest.send(FIRST, Type.RESET);
    await guest.ping();
  });

  test("that the task breaks off is a reset for the host", async () => {
    await using guest = await startNetworked();
    await listen(guest, TCP, 443);
    connecting(guest, 'import struct; s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)); s.close()');
    await guest.expect(FIRST, Type.RESET);
  });

  test("is held back by credit in both directions, and carries any number of bytes", { timeout: 60_000 }, async () => {
    await using guest = await startNetworked();
    await listen(guest, TCP, 443);
    const bytes = 8 * 1_048_576;
    const program = [
      "import threading",
      `t = threading.Thread(target=lambda: (s.sendall(b"x" * ${bytes}), s.shutdown(socket.SHUT_WR))); t.start()`,
      "n = 0",
      "while True:",
      "  b = s.recv(65536)",
      "  if not b: break",
      "  n += len(b)",
      "t.join(); print(n)",
    ].join("\n");
    const command = connecting(guest, program);
    await guest.expect(FIRST, Type.CONNECTION);
    await guest.ping();
    const [read] = await Promise.all([readAll(guest, FIRST), writeAll(guest, FIRST, bytes)]);
    expect(read).toBe(bytes);
    expect((await guest.outcome(command)).stdout).toBe(`${bytes}\n`);
  });

  test("that nobody reads keeps one window and no more, and holds up no other", async () => {
    await using guest = await startNetworked();
    await listen(guest, TCP, 443);
    connecting(guest, 's.sendall(b"x" * 10000000)');
    let bytes = 0;
    while (bytes < WINDOW) bytes += (await guest.expect(FIRST, Type.DATA)).payload.length;
    const other = connecting(guest, 's.sendall(b"me too"); print(s.recv(9))');
    expect((await guest.expect(FIRST + 1, Type.DATA)).payload.toString()).toBe("me too");
    guest.send(FIRST + 1, Type.DATA, Buffer.from("yes"));
    expect((await guest.outcome(other)).stdout).toBe("b'yes'\n");
    expect(bytes).toBe(WINDOW);
    expect(guest.heard().filter(({ stream, type }) => stream === FIRST && type === Type.DATA)).toEqual([]);
  });
});

describe("a datagram", () => {
  const ASK =
    'import socket\ns = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(5)\ns.sendto(b"?" * %d, ("127.9.8.7", 53))\n';

  test("goes to the host, and the answer to who sent it", async () => {
    await using guest = await startNetworked();
    expect(await listen(guest, UDP, 53)).toBe(0);
    const command = guest.exec(["/usr/bin/python3", "-c", `${ASK.replace("%d", "3")}print(s.recv(99))`], { env: ENV });
    const { payload } = await guest.expect(0, Type.DATAGRAM);
    expect(payload.subarray(4).toString()).toBe("???");
    guest.send(0, Type.DATAGRAM, Buffer.concat([u32(payload.readUInt32BE(0) + 1), Buffer.from("for nobody")]));
    guest.send(0, Type.DATAGRAM, Buffer.concat([payload.subarray(0, 4), Buffer.from("!!!")]));
    expect((await guest.outcome(command)).stdout).toBe("b'!!!'\n");
    guest.send(0, Type.DATAGRAM, Buffer.concat([payload.subarray(0, 4), Buffer.from("again")]));
    await guest.ping();
  });

  test("of more than 4,096 bytes is dropped", async () => {
    await using guest = await startNetworked();
    await listen(guest, UDP, 53);
    const program = `${ASK.replace("%d", "4097")}s.sendto(b"small", ("127.9.8.7", 53))`;
    await guest.outcome(guest.exec(["/usr/bin/python3", "-c", program], { env: ENV }));
    expect((await guest.expect(0, Type.DATAGRAM)).payload.subarray(4).toString()).toBe("small");
  });
});

describe("a host that breaks the rules of the network", () => {
  test.each([
    ["listens outside of loopback", 0, Type.LISTEN, place(TCP, [10, 0, 0, 1], 443)],
    ["listens with an unknown protocol", 0, Type.LISTEN, place(1, [127, 0, 0, 1], 443)],
    ["answers a datagram where none can come", 0, Type.DATAGRAM, u32(1)],
    ["speaks on a connection that never was", FIRST, Type.DATA, Buffer.from("x")],
    ["signals a connection", FIRST, Type.SIGNAL, Buffer.from([9])],
  ])("and %s ends the guest", async (_what, stream, type, payload) => {
    const guest = await startNetworked();
    guest.send(stream, type, payload);
    await guest.expect(0, Type.FAULT);
    expect(await guest.ended).toBe(70);
  });

  test.each([
    [
      "sends more than was granted",
      (guest: GuestProcess) => {
        for (let sent = 0; sent <= WINDOW * 40; sent += 65_536) guest.send(FIRST, Type.DATA, Buffer.alloc(65_536));
      },
    ],
    [
      "sends after its end",
      (guest: GuestProcess) => {
        guest.send(FIRST, Type.EOF);
        guest.send(FIRST, Type.DATA, Buffer.from("x"));
      },
    ],
    [
      "ends twice",
      (guest: GuestProcess) => {
        guest.send(FIRST, Type.EOF);
        guest.send(FIRST, Type.EOF);
      },
    ],
    ["grants without end", (guest: GuestProcess) => guest.send(FIRST, Type.CREDIT, u32(0x7fff_ffff))],
  ])("and %s ends the guest", async (_what, act) => {
    const guest = await startNetworked();
    await listen(guest, TCP, 443);
    connecting(guest, "import time; time.sleep(1000)");
    await guest.expect(FIRST, Type.CONNECTION);
    act(guest);
    await guest.expect(0, Type.FAULT);
    expect(await guest.ended).toBe(70);
  });
});
