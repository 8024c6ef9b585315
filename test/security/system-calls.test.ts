import { constants } from "node:os";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { runCli } from "../lab/cli.ts";
import { TEST_IMAGES } from "../lab/images.ts";
import { openProbes } from "../lab/probes.ts";
import type { TempDirectory } from "../lab/temp-directory.ts";
import { NOTHING_HELD, runUnconfined } from "../lab/unconfined.ts";

/** What `programs/system-calls.c` tries; nothing may be missing from its output. */
const ATTEMPTS: readonly string[] = [
  ...["mount", "mount remount", "mount bind", "umount2", "pivot_root", "fsopen", "fsconfig", "fsmount", "fspick", "open_tree"],
  ...["mount_setattr", "move_mount", "setns", "chroot", "ptrace process 1", "ptrace a child", "process_vm_readv", "process_vm_writev"],
  ...["pidfd_getfd", "process_madvise", "kcmp", "move_pages", "bpf", "perf_event_open", "userfaultfd", "add_key", "request_key"],
  ...["keyctl", "io_uring_setup", "io_uring_enter", "io_uring_register", "fanotify_init", "lookup_dcookie", "vmsplice"],
  ...["open_by_handle_at", "name_to_handle_at", "kexec_load", "kexec_file_load", "init_module", "finit_module", "delete_module"],
  ...["quotactl", "quotactl_fd", "swapon", "swapoff", "reboot", "acct", "syslog", "settimeofday", "clock_settime", "adjtimex"],
  ...["sethostname", "setdomainname", "vhangup", "setuid", ...(process.arch === "x64" ? ["entry i386", "entry x32"] : [])],
  ...["personality 32-bit addresses", "personality no randomisation", "personality readable is executable"],
  ...["mknod character", "mknod block", "TIOCSTI", "TIOCSTI high", "TIOCLINUX", "TIOCLINUX high"],
  ...["NS", "CGROUP", "UTS", "IPC", "USER", "PID", "NET", "TIME"].flatMap((name) => [
    `unshare CLONE_NEW${name}`,
    `clone3 CLONE_NEW${name}`,
  ]),
  ...["NS", "CGROUP", "UTS", "IPC", "USER", "PID", "NET", "USER high"].map((name) => `clone CLONE_NEW${name}`),
];

/** Attempts that the profile lets through for the sake of their harmless uses: they fail for the lack of a capability. */
const HELD_BY_PRIVILEGE = ["adjtimex", "mknod block", "mknod character", "setuid"];

/** What a kernel may be built without. Everything else must get past the kernel's checks of privilege in the positive control. */
const MAY_BE_MISSING = [
  ...["delete_module", "entry i386", "entry x32", "finit_module", "init_module", "kexec_file_load", "kexec_load", "lookup_dcookie"],
];

/** Family, type and protocol of all sockets that can be opened: UNIX; TCP, UDP and echo over IPv4 and IPv6; route netlink. */
const SOCKETS = [
  ...["1 1 0", "1 2 0", "1 3 0", "1 5 0", "1 526337 0"],
  ...["2 1 0", "2 1 6", "2 2 0", "2 2 1", "2 2 17", "2 526337 0"],
  ...["10 1 0", "10 1 6", "10 2 0", "10 2 17", "10 2 58"],
  ...["16 2 0", "16 3 0"],
].toSorted();

/**
 * Sockets that every kernel opens for who may: packets, also by way of IPv4's old type; raw IP; netlink of diagnosis, audit, the
 * device manager and the generic family; and numbers whose high half the kernel cuts off.
 */
const FORBIDDEN_SOCKETS = [
  ...["17 2 768", "17 3 768", "2 10 3", "2 3 1", "2 3 255", "10 3 58", "10 3 255", "2 524291 1"],
  ...["16 3 4", "16 3 9", "16 3 15", "16 3 16", "4294967313 3 0", "2 4294967299 1"],
].toSorted();

type Outcomes = ReadonlyMap<string, string>;

let directory: TempDirectory;
let taintedBefore: string;
/** As root with every capability that matters, and nothing of the product. */
let control: Outcomes;
/** The same, with the product's profile. */
let profileAlone: Outcomes;

beforeAll(async () => {
  directory = await openProbes("system-calls");
  taintedBefore = await tainted();
  const probes = directory.path;
  const chosen: readonly [string, ...string[]] = ["/probe/system-calls", ...FORBIDDEN_SOCKETS.flatMap((socket) => socket.split(" "))];
  const profile = `--security-opt=seccomp=${fileURLToPath(new URL("../../images/seccomp.json", import.meta.url))}`;
  const held = NOTHING_HELD.map((flag) => (flag === "--security-opt=seccomp=unconfined" ? profile : flag));
  control = outcomesOf(await runUnconfined({ probes, command: chosen, flags: ["--network=none", ...NOTHING_HELD] }));
  profileAlone = outcomesOf(await runUnconfined({ probes, command: ["/probe/system-calls"], flags: ["--network=none", ...held] }));
});
afterAll(() => directory[Symbol.asyncDispose]());

describe("a command in a sandbox", () => {
  it("is refused every attempt, each in its way", async () => {
    const inside = await inSandbox();
    const attempts = [...inside].filter(([name]) => !name.startsWith("socket"));
    expect(Object.fromEntries(attempts)).toEqual(Object.fromEntries(ATTEMPTS.map((attempt) => [attempt, refusalOf(attempt)])));
  });

  it("opens the sockets that programs need, and of no other family, type and protocol", async () => {
    const inside = await inSandbox();
    expect([...inside.keys()].filter((name) => name.startsWith("socket ")).length).toBeGreaterThan(46 * 5);
    expect(socketsIn(inside)).toEqual(SOCKETS);
  });

  it("makes pairs of UNIX sockets, and of no other family", async () => {
    const pairs = [...(await inSandbox())].filter(([name]) => name.startsWith("socketpair "));
    expect(pairs).toHaveLength(46);
    expect(pairs.filter(([, outcome]) => outcome === "ok").map(([name]) => name)).toEqual(["socketpair 1 1 0"]);
  });
});

describe("the seccomp profile alone, in the hands of root with every capability", () => {
  it("refuses the same attempts, but for those that privilege decides", () => {
    const passed = ATTEMPTS.filter((attempt) => profileAlone.get(attempt) !== refusalOf(attempt));
    expect(passed.toSorted()).toEqual(HELD_BY_PRIVILEGE);
  });

  it("refuses the same sockets", () => {
    expect(socketsIn(profileAlone)).toEqual(SOCKETS);
  });
});

describe("root in a container that nothing holds", () => {
  it("gets every attempt past the checks of the kernel, as far as the kernel has it", () => {
    expect(attemptsIn(control)).toEqual(ATTEMPTS.toSorted());
    const stopped = ATTEMPTS.filter((attempt) => /^(EPERM|ENOSYS|SIG)/.test(control.get(attempt) ?? "EPERM"));
    expect(stopped.filter((attempt) => !MAY_BE_MISSING.includes(attempt))).toEqual([]);
  });

  it("opens the sockets that a sandbox can't", () => {
    expect(socketsIn(control)).toEqual(FORBIDDEN_SOCKETS);
    expect(SOCKETS.filter((socket) => FORBIDDEN_SOCKETS.includes(socket))).toEqual([]);
  });
});

it("leaves the kernel as little tainted after all attempts as it was before", async () => {
  await inSandbox();
  expect(taintedBefore).toMatch(/^\d+\n$/);
  expect(await tainted()).toBe(taintedBefore);
});

/** An entry that the profile was not made for ends the process; `clone3`, whose flags a filter can't read, must look missing. */
function refusalOf(attempt: string): string {
  if (attempt.startsWith("entry ")) return "SIGSYS";
  return attempt.startsWith("clone3 ") ? "ENOSYS" : "EPERM";
}

async function inSandbox(): Promise<Outcomes> {
  const { status, stdout, stderr } = await runCli([
    ...["run", "--image", TEST_IMAGES.busybox, "--workspace", directory.path],
    ...["--", "/workspace/system-calls"],
  ]);
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  return outcomesOf(stdout);
}

function attemptsIn(outcomes: Outcomes): readonly string[] {
  return [...outcomes.keys()].filter((name) => !name.startsWith("socket")).toSorted();
}

function socketsIn(outcomes: Outcomes): readonly string[] {
  const opened = [...outcomes].filter(([name, outcome]) => name.startsWith("socket ") && outcome === "ok");
  return [...new Set(opened.map(([name]) => name.slice("socket ".length)))].toSorted();
}

/** Lines such as `mount: error 1`, with the numbers as names. */
function outcomesOf(printed: string): Outcomes {
  const lines = printed.trimEnd().split("\n");
  return new Map(lines.map((line) => [line.slice(0, line.indexOf(":")), nameOf(line.slice(line.indexOf(":") + 2))]));
}

function nameOf(outcome: string): string {
  const [, kind, value] = /^(error|signal) (\d+)$/.exec(outcome) ?? [];
  const table: Readonly<Record<string, number>> = kind === "error" ? constants.errno : constants.signals;
  const found = Object.entries(table).find(([, number]) => number === Number(value));
  return kind === undefined ? outcome : (found?.[0] ?? outcome);
}

function tainted(): Promise<string> {
  return runUnconfined({ probes: directory.path, command: ["cat", "/proc/sys/kernel/tainted"], flags: ["--network=none"] });
}
