import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { fc } from "../lab/property.ts";

/** What the default profile of Docker Engine 20.10.24 allows without a condition on x86-64 (read from a container's runtime configuration). */
const DEFAULT_ALLOWED = new Set(
  `
  _llseek _newselect accept accept4 access adjtimex alarm arch_prctl bind brk capget capset chdir chmod chown chown32 chroot
  clock_adjtime clock_adjtime64 clock_getres clock_getres_time64 clock_gettime clock_gettime64 clock_nanosleep
  clock_nanosleep_time64 close close_range connect copy_file_range creat dup dup2 dup3 epoll_create epoll_create1 epoll_ctl
  epoll_ctl_old epoll_pwait epoll_pwait2 epoll_wait epoll_wait_old eventfd eventfd2 execve execveat exit exit_group faccessat
  faccessat2 fadvise64 fadvise64_64 fallocate fanotify_mark fchdir fchmod fchmodat fchown fchown32 fchownat fcntl fcntl64 fdatasync
  fgetxattr flistxattr flock fork fremovexattr fsetxattr fstat fstat64 fstatat64 fstatfs fstatfs64 fsync ftruncate ftruncate64 futex
  futex_time64 futex_waitv futimesat get_robust_list get_thread_area getcpu getcwd getdents getdents64 getegid getegid32 geteuid
  geteuid32 getgid getgid32 getgroups getgroups32 getitimer getpeername getpgid getpgrp getpid getppid getpriority getrandom
  getresgid getresgid32 getresuid getresuid32 getrlimit getrusage getsid getsockname getsockopt gettid gettimeofday getuid getuid32
  getxattr inotify_add_watch inotify_init inotify_init1 inotify_rm_watch io_cancel io_destroy io_getevents io_pgetevents
  io_pgetevents_time64 io_setup io_submit io_uring_enter io_uring_register io_uring_setup ioctl ioprio_get ioprio_set ipc kill
  landlock_add_rule landlock_create_ruleset landlock_restrict_self lchown lchown32 lgetxattr link linkat listen listxattr llistxattr
  lremovexattr lseek lsetxattr lstat lstat64 madvise membarrier memfd_create memfd_secret mincore mkdir mkdirat mknod mknodat mlock
  mlock2 mlockall mmap mmap2 modify_ldt mprotect mq_getsetattr mq_notify mq_open mq_timedreceive mq_timedreceive_time64 mq_timedsend
  mq_timedsend_time64 mq_unlink mremap msgctl msgget msgrcv msgsnd msync munlock munlockall munmap nanosleep newfstatat open openat
  openat2 pause pidfd_open pidfd_send_signal pipe pipe2 poll ppoll ppoll_time64 prctl pread64 preadv preadv2 prlimit64
  process_mrelease pselect6 pselect6_time64 ptrace pwrite64 pwritev pwritev2 read readahead readlink readlinkat readv recv recvfrom
  recvmmsg recvmmsg_time64 recvmsg remap_file_pages removexattr rename renameat renameat2 restart_syscall rmdir rseq rt_sigaction
  rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend rt_sigtimedwait rt_sigtimedwait_time64 rt_tgsigqueueinfo
  sched_get_priority_max sched_get_priority_min sched_getaffinity sched_getattr sched_getparam sched_getscheduler
  sched_rr_get_interval sched_rr_get_interval_time64 sched_setaffinity sched_setattr sched_setparam sched_setscheduler sched_yield
  seccomp select semctl semget semop semtimedop semtimedop_time64 send sendfile sendfile64 sendmmsg sendmsg sendto set_robust_list
  set_thread_area set_tid_address setfsgid setfsgid32 setfsuid setfsuid32 setgid setgid32 setgroups setgroups32 setitimer setpgid
  setpriority setregid setregid32 setresgid setresgid32 setresuid setresuid32 setreuid setreuid32 setrlimit setsid setsockopt setuid
  setuid32 setxattr shmat shmctl shmdt shmget shutdown sigaltstack signalfd signalfd4 sigprocmask sigreturn socket socketcall
  socketpair splice stat stat64 statfs statfs64 statx symlink symlinkat sync sync_file_range syncfs sysinfo tee tgkill time
  timer_create timer_delete timer_getoverrun timer_gettime timer_gettime64 timer_settime timer_settime64 timerfd_create
  timerfd_gettime timerfd_gettime64 timerfd_settime timerfd_settime64 times tkill truncate truncate64 ugetrlimit umask uname unlink
  unlinkat utime utimensat utimensat_time64 utimes vfork vmsplice wait4 waitid waitpid write writev
`.match(/\S+/g),
);

type Argument = { readonly index: number; readonly value: number; readonly valueTwo?: number; readonly op: string };
type Rule = { readonly names: readonly string[]; readonly action: string; readonly errnoRet?: number; readonly args?: readonly Argument[] };
type Profile = {
  readonly defaultAction: string;
  readonly defaultErrnoRet: number;
  readonly archMap: readonly { readonly architecture: string; readonly subArchitectures: readonly string[] }[];
  readonly syscalls: readonly Rule[];
};

const EPERM = 1;
const ENOSYS = 38;
const EPROTONOSUPPORT = 93;
const EAFNOSUPPORT = 97;

const profile: Profile = JSON.parse(readFileSync(new URL("../../images/seccomp.json", import.meta.url), "utf8"));

/** Compares as the kernel's filter does: arguments are 64 bits wide (seccomp_rule_add(3)). */
function matches(argument: Argument, values: readonly bigint[]): boolean {
  const actual = values[argument.index] ?? 0n;
  switch (argument.op) {
    case "SCMP_CMP_EQ":
      return actual === BigInt(argument.value);
    case "SCMP_CMP_MASKED_EQ":
      return (actual & BigInt(argument.value)) === BigInt(argument.valueTwo ?? 0);
    default:
      throw new Error(`The test does not know ${argument.op}.`);
  }
}

/** `allow`, or the error number that the system call ends with. Two rules that disagree fail the test: which one wins is not defined. */
function decide(name: string, ...values: readonly bigint[]): "allow" | number {
  const found = profile.syscalls.filter(
    (rule) => rule.names.includes(name) && (rule.args ?? []).every((argument) => matches(argument, values)),
  );
  const outcomes = new Set(found.map((rule) => (rule.action === "SCMP_ACT_ALLOW" ? "allow" : (rule.errnoRet ?? EPERM))));
  if (outcomes.size > 1) throw new Error(`The rules for ${name}(${values.join(", ")}) disagree: ${[...outcomes].join(", ")}.`);
  return outcomes.values().next().value ?? profile.defaultErrnoRet;
}

const allowedNames = [...new Set(profile.syscalls.filter(({ action }) => action === "SCMP_ACT_ALLOW").flatMap(({ names }) => names))];
const anyHigh = fc.bigInt({ min: 0n, max: 0xffffffffn }).map((high) => high << 32n);

describe("the seccomp profile", () => {
  it("refuses what it does not name, and has no architecture but the two native ones", () => {
    expect(profile.defaultAction).toBe("SCMP_ACT_ERRNO");
    expect(profile.archMap).toEqual([
      { architecture: "SCMP_ARCH_X86_64", subArchitectures: [] },
      { architecture: "SCMP_ARCH_AARCH64", subArchitectures: [] },
    ]);
    expect(new Set(profile.syscalls.map(({ action }) => action))).toEqual(new Set(["SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO"]));
  });

  it("allows nothing that the engine's default does not allow", () => {
    const conditional = ["clone", "personality"];
    expect(allowedNames.filter((name) => !DEFAULT_ALLOWED.has(name) && !conditional.includes(name))).toEqual([]);
  });

  it("names each system call without a condition at most once", () => {
    const names = profile.syscalls.filter(({ args }) => args === undefined).flatMap(({ names: each }) => each);
    expect(names.length).toBe(new Set(names).size);
    const conditional = new Set(profile.syscalls.filter(({ args }) => args !== undefined).flatMap(({ names: each }) => each));
    expect(names.filter((name) => conditional.has(name))).toEqual([]);
  });

  it.each(
    `mount umount2 fsopen fsmount fsconfig fspick move_mount open_tree mount_setattr pivot_root unshare setns ptrace process_vm_readv process_vm_writev
     pidfd_getfd process_madvise kcmp bpf perf_event_open userfaultfd keyctl add_key request_key io_uring_setup io_uring_enter io_uring_register
     open_by_handle_at name_to_handle_at kexec_load kexec_file_load init_module finit_module delete_module swapon swapoff reboot acct quotactl
     quotactl_fd syslog chroot settimeofday clock_settime sethostname setdomainname ioperm iopl modify_ldt vhangup lookup_dcookie`.match(
      /\S+/g,
    ) ?? [],
  )("refuses %s with EPERM", (name) => {
    expect(decide(name)).toBe(EPERM);
  });

  it("answers clone3 and system calls that are not known yet with ENOSYS, so that programs fall back", () => {
    expect(["clone3", "fchmodat2", "cachestat", "a_call_of_next_year"].map((name) => decide(name))).toEqual([
      ENOSYS,
      ENOSYS,
      ENOSYS,
      ENOSYS,
    ]);
  });

  it("allows clone exactly without a flag that makes a namespace", () => {
    const namespaces = [0x20000n, 0x2000000n, 0x4000000n, 0x8000000n, 0x10000000n, 0x20000000n, 0x40000000n];
    const mask = namespaces.reduce((all, flag) => all | flag);
    fc.assert(
      fc.property(
        fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
        (flags) => decide("clone", flags) === ((flags & mask) === 0n ? "allow" : EPERM),
      ),
    );
    expect(namespaces.map((flag) => decide("clone", flag | 17n))).toEqual(namespaces.map(() => EPERM));
    expect(decide("clone", 0x3d0f00n)).toBe("allow");
  });

  it("allows the sockets of programs and no other family, type or protocol, whatever the upper halves of the arguments", () => {
    const [unix, inet, inet6, netlink, stream, datagram] = [1n, 2n, 10n, 16n, 1n, 2n];
    const flags = 0o2000000n | 0o4000n;
    fc.assert(
      fc.property(anyHigh, anyHigh, (first, second) => {
        expect(decide("socket", unix | first, stream, 0n)).toBe("allow");
        expect(decide("socket", inet | first, stream | flags | second, 6n)).toBe("allow");
        expect(decide("socket", inet6, datagram | flags, 17n | second)).toBe("allow");
        expect(decide("socket", netlink | first, 3n, 0n)).toBe("allow");
        expect(decide("socket", netlink, 3n, 9n | second)).not.toBe("allow");
        expect(decide("socket", 40n | first, stream, 0n)).toBe(EAFNOSUPPORT);
      }),
    );
    expect(decide("socket", inet, 3n, 1n)).toBe(EPERM);
    expect(decide("socket", inet, stream, 262n)).toBe(EPROTONOSUPPORT);
    expect(decide("socket", inet, stream, 132n)).not.toBe("allow");
    expect(decide("socket", inet, 6n, 33n)).not.toBe("allow");
  });

  it.each(Array.from({ length: 46 }, (_, family) => BigInt(family)).filter((family) => ![1n, 2n, 10n, 16n].includes(family)))(
    "refuses sockets of family %d of every type",
    (family) => {
      for (let type = 0n; type < 16n; type += 1n) expect(decide("socket", family, type, 0n)).toBe(EAFNOSUPPORT);
    },
  );

  it("allows pairs of UNIX sockets only", () => {
    expect(decide("socketpair", 1n)).toBe("allow");
    expect(decide("socketpair", 30n)).not.toBe("allow");
  });

  it("allows every ioctl but those with the type and number of TIOCSTI and TIOCLINUX, whatever their size and direction and what is above the request", () => {
    const refused = [0x5412n, 0x541cn];
    fc.assert(
      fc.property(
        anyHigh,
        fc.oneof(fc.bigInt({ min: 0n, max: 0xffffffffn }), fc.bigInt({ min: 0x5400n, max: 0x5430n })),
        (high, request) => {
          expect(decide("ioctl", 0n, high | request)).toBe(refused.includes(request & 0xffffn) ? EPERM : "allow");
        },
      ),
      { numRuns: 2000 },
    );
    for (let request = 0n; request <= 0xffffn; request += 1n)
      expect(decide("ioctl", 0n, (0xdeadbeefn << 32n) | request)).toBe(refused.includes(request) ? EPERM : "allow");
  });

  it("allows the usual personalities only", () => {
    expect([0n, 8n, 0x20000n, 0x20008n, 0xffffffffn].map((value) => decide("personality", value))).toEqual(Array(5).fill("allow"));
    expect([0x40000n, 0x400000n, 1n, 0x100000000n].map((value) => decide("personality", value))).toEqual(Array(4).fill(ENOSYS));
  });
});
