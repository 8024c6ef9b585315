/** Linux signal numbers by name; the numbers of the sandbox, which can differ from those of a host with another kernel. */
const LINUX_SIGNALS = {
  SIGHUP: 1,
  SIGINT: 2,
  SIGQUIT: 3,
  SIGILL: 4,
  SIGTRAP: 5,
  SIGABRT: 6,
  SIGBUS: 7,
  SIGFPE: 8,
  SIGKILL: 9,
  SIGUSR1: 10,
  SIGSEGV: 11,
  SIGUSR2: 12,
  SIGPIPE: 13,
  SIGALRM: 14,
  SIGTERM: 15,
  SIGSTKFLT: 16,
  SIGCHLD: 17,
  SIGCONT: 18,
  SIGSTOP: 19,
  SIGTSTP: 20,
  SIGTTIN: 21,
  SIGTTOU: 22,
  SIGURG: 23,
  SIGXCPU: 24,
  SIGXFSZ: 25,
  SIGVTALRM: 26,
  SIGPROF: 27,
  SIGWINCH: 28,
  SIGIO: 29,
  SIGPWR: 30,
  SIGSYS: 31,
};

const NUMBERED = /^SIG(\d{1,2})$/;

/** The number of a Linux signal from its name, or from `SIG<n>` for the unnamed ones; 0 for anything else. */
export function signalNumber(name: string): number {
  return new Map(Object.entries(LINUX_SIGNALS)).get(name) ?? Number(NUMBERED.exec(name)?.[1] ?? 0);
}

/** The name of a Linux signal number, `SIG<n>` for the unnamed ones. */
export function signalName(number: number): string {
  return Object.entries(LINUX_SIGNALS).find(([, value]) => value === number)?.[0] ?? `SIG${number}`;
}

const LINUX_ERRORS = new Map<number, string>([
  [1, "EPERM"],
  [2, "ENOENT"],
  [5, "EIO"],
  [7, "E2BIG"],
  [8, "ENOEXEC"],
  [11, "EAGAIN"],
  [12, "ENOMEM"],
  [13, "EACCES"],
  [16, "EBUSY"],
  [17, "EEXIST"],
  [18, "EXDEV"],
  [20, "ENOTDIR"],
  [21, "EISDIR"],
  [22, "EINVAL"],
  [23, "ENFILE"],
  [24, "EMFILE"],
  [26, "ETXTBSY"],
  [27, "EFBIG"],
  [28, "ENOSPC"],
  [30, "EROFS"],
  [36, "ENAMETOOLONG"],
  [39, "ENOTEMPTY"],
  [40, "ELOOP"],
  [75, "EOVERFLOW"],
  [97, "EAFNOSUPPORT"],
  [98, "EADDRINUSE"],
  [99, "EADDRNOTAVAIL"],
  [105, "ENOBUFS"],
  [122, "EDQUOT"],
]);

/** The name of a Linux error number, `errno <n>` for the ones that a guest has no reason to send. */
export function errnoName(number: number): string {
  return LINUX_ERRORS.get(number) ?? `errno ${number}`;
}
