import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { describe, expect, test } from "vitest";
import { Type, u16, u32 } from "./codec.ts";
import { GUEST_WINDOW, type GuestProcess, installGuest, startGuest } from "./guest-process.ts";

const installed = installGuest();

const ENOENT = 2;
const EAGAIN = 11;
const EACCES = 13;
const EMFILE = 24;

function stageAndErrno(failed: Buffer | undefined): readonly (number | undefined)[] {
  return [failed?.readUInt8(0), failed?.readUInt32BE(4)];
}

function sha256(text: string): string {
  return createHash("sha256").update(text, "latin1").digest("hex");
}

describe("a command", () => {
  test("gets exactly its arguments, its environment and its working directory", async () => {
    await using guest = await startGuest(installed.path);
    const words = await guest.run(["/bin/sh", "-c", 'pwd; printf "%s|" "$@"', "name", "a b", "", "ü"], { cwd: "/usr" });
    expect(words.stdout).toBe(Buffer.from("/usr\na b||ü|").toString("latin1"));
    expect((await guest.run(["/bin/cat", "/proc/self/environ"], { env: ["B=2", "A=1 1"] })).stdout).toBe("B=2\0A=1 1\0");
    expect((await guest.run(["/bin/cat", "/proc/self/environ"], { env: [] })).stdout).toBe("");
  });

  test("reports its exit status after STARTED and before the end of its output", async () => {
    await using guest = await startGuest(installed.path);
    const outcome = await guest.sh("echo out; echo err >&2; exit 7");
    expect([outcome.stdout, outcome.stderr, outcome.exit?.readUInt8(1)]).toEqual(["out\n", "err\n", 7]);
    expect(outcome.order[0]).toBe(Type.STARTED);
  });

  test("reports the signal that ended it", async () => {
    await using guest = await startGuest(installed.path);
    const outcome = await guest.sh("kill -SEGV $$");
    expect([...(outcome.exit ?? [])].slice(0, 2)).toEqual([1, 11]);
  });

  test("holds no descriptor but its own three, leads its session, and volunteers to the OOM killer", async () => {
    await using guest = await startGuest(installed.path);
    const outcome = await guest.sh("ls /proc/$$/fd; cat /proc/$$/oom_score_adj; umask; ps -o sid= -p $$ | tr -d ' '; echo $$");
    expect(outcome.stdout).toMatch(/^0\n1\n2\n1000\n0022\n(\d+)\n\1\n$/);
  });

  test("ignores and blocks no signal", async () => {
    await using guest = await startGuest(installed.path);
    const outcome = await guest.run(["grep", "-E", "^Sig(Blk|Ign)", "/proc/self/status"]);
    expect(outcome.stdout).toMatch(/^SigBlk:\t0+\nSigIgn:\t0+\n$/);
  });

  test("takes what is left of its process group with it after SIGTERM, and only then", async () => {
    await using guest = await startGuest(installed.path);
    const script = 'sh -c "trap : TERM; echo \\$\\$; while :; do sleep 1000; done" & read -r line; exit 0';
    const left = async (signals: readonly number[], question: string): Promise<string> => {
      const stream = guest.exec(["sh", "-c", script], { stdin: true });
      const pid = (await guest.expect(stream, Type.DATA)).payload.toString().trim();
      for (const signal of signals) guest.send(stream, Type.SIGNAL, Buffer.from([signal]));
      if (signals.length === 0) guest.send(stream, Type.EOF);
      await guest.expect(stream, Type.EXIT);
      const found = await guest.sh(`pid=${pid}; ${question}`);
      return found.stdout;
    };
    expect(await left([], "kill -0 $pid && echo there")).toBe("there\n");
    expect(await left([15], "while kill -0 $pid 2>/dev/null; do sleep 0.01; done; echo gone")).toBe("gone\n");
  });

  test("reads what the host sends until the host's EOF", async () => {
    await using guest = await startGuest(installed.path);
    const stream = guest.exec(["cat"], { stdin: true });
    const sent = Buffer.alloc(65_536, "abcdefg");
    guest.send(stream, Type.DATA, sent);
    guest.send(stream, Type.DATA, sent);
    guest.send(stream, Type.EOF);
    expect((await guest.outcome(stream)).stdout).toBe(Buffer.concat([sent, sent]).toString("latin1"));
  });

  test("gets an empty standard input when none was asked for", async () => {
    await using guest = await startGuest(installed.path);
    expect((await guest.sh("cat; readlink /proc/self/fd/0")).stdout).toBe("/dev/null\n");
  });

  test.each([
    ["its directory is missing", { cwd: "/missing", argv: ["true"] }, [2, ENOENT]],
    ["it is not in the PATH", { cwd: "/", argv: ["no-such-program"] }, [3, ENOENT]],
    ["it is not executable", { cwd: "/", argv: ["/etc/passwd"] }, [3, EACCES]],
  ] as const)("fails with its stage when %s", async (_, { cwd, argv }, expected) => {
    await using guest = await startGuest(installed.path);
    const outcome = await guest.run(argv, { cwd });
    expect(stageAndErrno(outcome.failed)).toEqual(expected);
    expect(outcome.order).toEqual([Type.FAILED, Type.EOF, Type.EOF]);
  });

  test.each([
    ["process", ["--nproc=1"], EAGAIN],
    ["descriptor", ["--nofile=7"], EMFILE],
  ] as const)("fails and leaves the guest alive when there is no %s left", async (_, limits, errno) => {
    await using guest = await startGuest(installed.path, { limits });
    expect(stageAndErrno((await guest.run(["true"])).failed)).toEqual([1, errno]);
    await guest.ping();
  });

  test("runs beside many others", async () => {
    await using guest = await startGuest(installed.path);
    const outcomes = await Promise.all(Array.from({ length: 60 }, (_, index) => guest.sh(`echo ${index}`)));
    expect(outcomes.map((outcome) => outcome.stdout)).toEqual(Array.from({ length: 60 }, (_, index) => `${index}\n`));
  });
});

describe("signals", () => {
  test("reach the whole process group, also before the program has started", async () => {
    await using guest = await startGuest(installed.path);
    const stream = guest.exec(["sh", "-c", "sleep 1000 & sleep 1000"]);
    guest.send(stream, Type.SIGNAL, Buffer.from([9]));
    const group = (await guest.expect(stream, Type.STARTED)).payload.readUInt32BE(0);
    expect([...(await guest.expect(stream, Type.EXIT)).payload].slice(0, 2)).toEqual([1, 9]);
    expect((await guest.sh(`while kill -0 -${group} 2>/dev/null; do :; done; echo gone`)).stdout).toBe("gone\n");
  });

  test("can be caught by the command", async () => {
    await using guest = await startGuest(installed.path);
    const stream = guest.exec(["sh", "-c", "trap 'echo caught; exit 5' TERM; echo ready; while :; do sleep 0.01; done"]);
    await guest.expect(stream, Type.DATA);
    guest.send(stream, Type.SIGNAL, Buffer.from([15]));
    const outcome = await guest.outcome(stream);
    expect([outcome.stdout, outcome.exit?.readUInt8(1)]).toEqual(["caught\n", 5]);
  });
});

describe("a terminal", () => {
  const terminal = { rows: 24, columns: 80 };

  test("has its size, takes a new one, and is the only output", async () => {
    await using guest = await startGuest(installed.path);
    const stream = guest.exec(
      ["sh", "-c", "trap 'stty size; exit' WINCH; stty size; test -t 0 && test -t 2 && echo terminal; while :; do sleep 0.01; done"],
      { terminal, stdin: true },
    );
    await guest.expect(stream + 1, Type.EOF);
    const first = [];
    while (!Buffer.concat(first).includes("terminal")) first.push((await guest.expect(stream, Type.DATA)).payload);
    guest.send(stream, Type.RESIZE, u16(50, 132));
    const rest = [];
    const exit = guest.expect(stream, Type.EXIT);
    while (!Buffer.concat(rest).includes("132\r\n")) rest.push((await guest.expect(stream, Type.DATA)).payload);
    await exit;
    await guest.expect(stream, Type.EOF);
    expect(Buffer.concat([...first, ...rest]).toString()).toBe("24 80\r\nterminal\r\n50 132\r\n");
  });

  test.each(["whole line\n", "half a line"])("ends its input on the host's EOF after a %j", async (text) => {
    await using guest = await startGuest(installed.path);
    const stream = guest.exec(["sh", "-c", "stty -echo; echo ready; cat; echo over"], { terminal, stdin: true });
    await guest.expect(stream, Type.DATA);
    guest.send(stream, Type.DATA, Buffer.from(text));
    guest.send(stream, Type.EOF);
    guest.send(stream, Type.CREDIT, u32(7));
    const end = guest.expect(stream + 1, Type.EOF);
    let seen = "";
    while (!seen.endsWith("over\r\n")) seen += (await guest.expect(stream, Type.DATA)).payload.toString();
    await end;
    expect(seen).toBe(`${text.replace("\n", "\r\n")}over\r\n`);
  });

  test("turns the interrupt character into a signal", async () => {
    await using guest = await startGuest(installed.path);
    const stream = guest.exec(["sh", "-c", "echo ready; exec sleep 1000"], { terminal, stdin: true });
    await guest.expect(stream, Type.DATA);
    guest.send(stream, Type.DATA, Buffer.from([3]));
    expect([...(await guest.expect(stream, Type.EXIT)).payload].slice(0, 2)).toEqual([1, 2]);
  });

  test("hangs up when the host stops reading it", async () => {
    await using guest = await startGuest(installed.path);
    const stream = guest.exec(["sh", "-c", "echo ready; exec sleep 1000"], { terminal, stdin: true });
    await guest.expect(stream, Type.DATA);
    guest.send(stream, Type.STOP);
    expect([...(await guest.expect(stream, Type.EXIT)).payload].slice(0, 2)).toEqual([1, 1]);
  });
});

describe("flow control", () => {
  /** The largest payload. */
  const PIECE = Buffer.alloc(65_536, "x");
  /** The guest grants credit for standard input once it owes so much. */
  const QUARTER = GUEST_WINDOW / 4;

  function creditHeard(guest: GuestProcess, stream: number): readonly number[] {
    const frames = guest.heard().filter((frame) => frame.stream === stream && frame.type === Type.CREDIT);
    return frames.map((frame) => frame.payload.readUInt32BE(0));
  }

  test("holds output back until there is credit, and holds back nothing else", async () => {
    await using guest = await startGuest(installed.path, { window: 4_096 });
    const stream = guest.exec(["sh", "-c", "head -c 100000 /dev/zero; exec sleep 1000"]);
    const got = [];
    while (Buffer.concat(got).length < 4_096) got.push((await guest.expect(stream, Type.DATA)).payload);
    expect((await guest.sh("echo other")).stdout).toBe("other\n");
    await guest.ping();
    expect(Buffer.concat(got).length).toBe(4_096);
    expect(guest.heard().filter((frame) => frame.type === Type.DATA)).toEqual([]);
    guest.send(stream, Type.CREDIT, u32(10));
    expect((await guest.expect(stream, Type.DATA)).payload.length).toBe(10);
  });

  test.each([
    ["in large pieces", "seq 1 2000000"],
    ["line by line", "for number in 1 2 3; do seq 1 20000 | while read line; do echo $line; done; done"],
    ["to both of its outputs at once", "seq 1 500000 >&2 & seq 1 500000; wait"],
  ])("delivers what is written %s unchanged, also when credit comes by the byte and by the megabyte", async (_how, script) => {
    const expected = spawnSync("sh", ["-c", script], { encoding: "latin1", maxBuffer: 64 * 1024 * 1024 });
    for (const window of [4_099, 1_048_576]) {
      await using guest = await startGuest(installed.path, { window });
      const { stdout, stderr } = await guest.sh(script);
      expect(sha256(stdout)).toBe(sha256(expected.stdout));
      expect(sha256(stderr)).toBe(sha256(expected.stderr));
    }
  });

  test("delivers after EXIT what was written before it, as far as credit reaches", async () => {
    await using guest = await startGuest(installed.path, { window: 4_096 });
    const stream = guest.exec(["head", "-c", "60000", "/dev/zero"]);
    await guest.expect(stream, Type.EXIT);
    await guest.expect(stream + 1, Type.EOF);
    let total = 0;
    while (total < 60_000) {
      const { payload } = await guest.expect(stream, Type.DATA);
      total += payload.length;
      guest.send(stream, Type.CREDIT, u32(payload.length));
    }
    await guest.expect(stream, Type.EOF);
    expect(total).toBe(60_000);
  });

  test("ends the output with the command although another process goes on writing", async () => {
    await using guest = await startGuest(installed.path);
    const outcome = await guest.sh("yes & echo $! >&2; exec true");
    expect(outcome.exit?.readUInt8(1)).toBe(0);
    const writer = outcome.stderr.trim();
    expect((await guest.sh(`kill -0 ${writer} && echo alive`)).stdout).toBe("alive\n");
  });

  test("grants no credit for standard input that the command does not read", async () => {
    await using guest = await startGuest(installed.path);
    const stream = guest.exec(["sleep", "1000"], { stdin: true });
    await guest.expect(stream, Type.STARTED);
    for (let sent = 0; sent < GUEST_WINDOW; sent += PIECE.length) guest.send(stream, Type.DATA, PIECE);
    await guest.ping();
    // The pipe to the command takes a piece of it, which is less than a grant.
    expect(creditHeard(guest, stream)).toEqual([]);
  });

  test("grants exactly what the command has read once that is a quarter of the window, and nothing before", async () => {
    await using guest = await startGuest(installed.path);
    const stream = guest.exec(["cat"], { stdin: true });
    const echoed = async (bytes: number): Promise<void> => {
      for (let left = bytes; left > 0; ) {
        const { payload } = await guest.expect(stream, Type.DATA);
        guest.send(stream, Type.CREDIT, u32(payload.length));
        left -= payload.length;
      }
    };
    for (let quarter = 0; quarter < 16; quarter += 1) {
      guest.send(stream, Type.DATA, PIECE);
      guest.send(stream, Type.DATA, PIECE.subarray(1));
      await echoed(QUARTER - 1);
      expect(creditHeard(guest, stream)).toEqual([]);
      guest.send(stream, Type.DATA, PIECE.subarray(0, 1));
      expect((await guest.expect(stream, Type.CREDIT)).payload).toEqual(u32(QUARTER));
      await echoed(1);
    }
  });

  test("grants credit for all that was sent as fast as credit came, but for less than a quarter of the window", async () => {
    await using guest = await startGuest(installed.path);
    const total = 4 * GUEST_WINDOW;
    const stream = guest.exec(["sh", "-c", `head -c ${total} >/dev/null; echo read; exec sleep 1000`], { stdin: true });
    let sent = 0;
    let granted = 0;
    while (sent < total) {
      const sendable = Math.min(total, GUEST_WINDOW + granted) - sent;
      if (sendable > 0) {
        const piece = PIECE.subarray(0, sendable);
        guest.send(stream, Type.DATA, piece);
        sent += piece.length;
      } else {
        granted += (await guest.expect(stream, Type.CREDIT)).payload.readUInt32BE(0);
        expect(granted).toBeLessThanOrEqual(sent);
      }
    }
    await guest.expect(stream, Type.DATA);
    granted += creditHeard(guest, stream).reduce((sum, credit) => sum + credit, 0);
    expect(granted).toBeLessThanOrEqual(total);
    expect(granted).toBeGreaterThan(total - QUARTER);
  });

  test("tells the host when the command closes its standard input", async () => {
    await using guest = await startGuest(installed.path);
    const stream = guest.exec(["sh", "-c", "exec sleep 1000 <&-"], { stdin: true });
    await guest.expect(stream, Type.STOP);
    guest.send(stream, Type.DATA, Buffer.from("dropped"));
    guest.send(stream, Type.EOF);
    await guest.ping();
  });

  test("lets the writer see a broken pipe when the host stops reading", async () => {
    await using guest = await startGuest(installed.path);
    const stream = guest.exec(["yes"]);
    guest.send(stream, Type.STOP);
    expect([...(await guest.expect(stream, Type.EXIT)).payload].slice(0, 2)).toEqual([1, 13]);
    await guest.expect(stream, Type.EOF);
  });
});
