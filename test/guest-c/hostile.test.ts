import { execFileSync } from "node:child_process";
import { chmodSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { Type } from "./codec.ts";
import { installGuest, startGuest } from "./guest-process.ts";

const installed = installGuest();
let probe: string;

beforeAll(() => {
  probe = join(installed.folder, "probe");
  execFileSync("cc", ["-std=c11", "-D_GNU_SOURCE", "-o", probe, join(import.meta.dirname, "probe.c")]);
  chmodSync(probe, 0o755);
}, 60_000);

/** What each attempt came to: `ok` or an error. */
function attempts(output: string): Readonly<Record<string, string>> {
  const lines = output.trim().split("\n");
  return Object.fromEntries(lines.map((line) => [line.slice(0, line.indexOf(" ")), line.slice(line.indexOf(" ") + 1)]));
}

const ATTEMPTS = ["fd/1", "fd/0", "mem", "environ", "oom_score_adj", "process_vm_readv", "process_vm_writev", "pidfd_getfd", "ptrace"];

describe("the task, with the guest's own uid", () => {
  test("reaches into an ordinary process and ends it", async () => {
    await using guest = await startGuest(installed.path);
    const found = attempts((await guest.run([probe, "child"])).stdout);
    for (const attempt of ATTEMPTS) expect([attempt, found[attempt]]).toEqual([attempt, "ok"]);
    expect(found["survived"]).not.toBe("ok");
  });

  test("can't reach into the guest, stop it or end it", async () => {
    await using guest = await startGuest(installed.path);
    const found = attempts((await guest.run([probe, "1"])).stdout);
    for (const attempt of ATTEMPTS)
      expect([attempt, found[attempt]]).toEqual([attempt, expect.stringMatching(/^(Permission denied|Operation not permitted)$/)]);
    expect(found["survived"]).toBe("ok");
    await guest.ping();
    expect((await guest.sh("echo still here")).stdout).toBe("still here\n");
  });

  test("can't inject a frame through a descriptor of any process it can see", async () => {
    await using guest = await startGuest(installed.path);
    // A PONG that nobody asked for would be heard below.
    const forged = "\\000\\000\\000\\000\\007\\000\\000\\010forged!!";
    const script = `for fd in /proc/[0-9]*/fd/*; do [ "$fd" = /proc/$$/fd/1 ] || printf '${forged}' 2>/dev/null > "$fd"; done; printf '${forged}' >&2; true`;
    const outcomes = await Promise.all(Array.from({ length: 20 }, () => guest.sh(`(${script}) 2>/dev/null`)));
    expect(outcomes.length).toBe(20);
    await guest.ping();
    expect(guest.heard().filter((frame) => frame.stream === 0)).toEqual([]);
  });

  test("can't derail the frames by taking bytes out of its own output pipe before the guest does", async () => {
    await using guest = await startGuest(installed.path);
    const thief = "exec 3</proc/self/fd/1; cat <&3 >/dev/null & cat <&3 >/dev/null & head -c 300000000 /dev/zero; kill %1 %2";
    const { stdout } = await guest.sh(thief);
    expect(stdout.length).toBeLessThan(300_000_000);
    expect(stdout).toMatch(/^\0*$/);
    expect((await guest.sh("echo still in step")).stdout).toBe("still in step\n");
  });

  test("does not stop the others by filling its pipes", async () => {
    await using guest = await startGuest(installed.path, { window: 4_096 });
    const floods = Array.from({ length: 10 }, () => guest.exec(["sh", "-c", "yes & yes >&2"]));
    expect((await guest.sh("echo through")).stdout).toBe("through\n");
    for (const stream of floods) guest.send(stream, Type.SIGNAL, Buffer.from([9]));
    await Promise.all(floods.map((stream) => guest.expect(stream, Type.EXIT)));
  });

  test("leaves no zombie behind", async () => {
    await using guest = await startGuest(installed.path);
    await guest.sh("for i in $(seq 200); do (setsid true &); done");
    guest.send(0, Type.QUIESCE);
    await guest.expect(0, Type.QUIESCED);
    expect((await guest.sh("set -- /proc/[0-9]*; echo $#")).stdout).toBe("2\n");
  });
});
