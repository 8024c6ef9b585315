import { dockerCli } from "./engine-api.ts";
import { TEST_IMAGES } from "./images.ts";

/** A container that is not ours: what a probe can do without the product. */
export type Unconfined = {
  /** Directory of this machine that is `/probe` inside. */
  readonly probes: string;
  /** Program and arguments. */
  readonly command: readonly [string, ...string[]];
  /** Flags of `docker run`. */
  readonly flags?: readonly string[];
  /** Default: busybox. */
  readonly image?: string;
};

/**
 * Flags that leave nothing of an engine's own confinement. `--privileged` would do it in one word, but asks for every capability, and
 * the machines of the tests may lack some.
 */
export const NOTHING_HELD: readonly string[] = [
  ...["seccomp=unconfined", "apparmor=unconfined", "systempaths=unconfined"].map((option) => `--security-opt=${option}`),
  ...["SYS_ADMIN", "SYS_BOOT", "SYS_CHROOT", "SYS_MODULE", "SYS_NICE", "SYS_PACCT", "SYS_PTRACE", "SYS_RAWIO", "SYS_TIME"],
  ...["SYS_TTY_CONFIG", "SYSLOG", "DAC_READ_SEARCH", "IPC_LOCK", "MKNOD", "NET_ADMIN", "NET_RAW"],
].map((word) => (word.startsWith("-") ? word : `--cap-add=${word}`));

/** Flags that take away every namespace that an engine can take away. */
export const NOTHING_OWN: readonly string[] = ["--pid=host", "--network=host", "--ipc=host", "--uts=host", "--cgroupns=host"];

/** Runs a command to its end without the product and gives what it prints. */
export function runUnconfined({ probes, command, flags = [], image = TEST_IMAGES.busybox }: Unconfined): Promise<string> {
  const [program, ...args] = command;
  return dockerCli(["run", "--rm", "-v", `${probes}:/probe:ro`, ...flags, `--entrypoint=${program}`, image, ...args]);
}
