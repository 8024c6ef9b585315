import { type ErrorCode, SandboxError, systemCode } from "../../core/errors.ts";

/** How an `ssh` ended that did not end well: its exit status, and the last line that it wrote to standard error. */
export type SshEnd = { readonly status: number; readonly said: string };

/** `command` is the beginning of an `ssh` command line that gets to the same machine. */
export type SshPlace = { readonly url: string; readonly command: string };

/** The status of `ssh` itself; every other one comes from the other machine. */
const SSH_FAILED = 255;
/** What a shell returns when it does not find a program. */
const NOT_FOUND = 127;

type Fault = {
  readonly fits: (end: SshEnd) => boolean;
  readonly code: ErrorCode;
  /** The sentence before what `ssh` said. */
  readonly says: (place: SshPlace) => string;
  readonly hint: (place: SshPlace) => string;
};

const FAULTS: readonly Fault[] = [
  {
    fits: ({ status, said }) => status === SSH_FAILED && /permission denied|too many authentication failures/i.test(said),
    code: "ENGINE_DENIED",
    says: ({ url }) => `The machine of ${url} does not let this user in`,
    hint: ({ command }) => `Make \`${command} true\` work without a question: put the key into an agent or into ~/.ssh/config.`,
  },
  {
    fits: ({ status, said }) => status === SSH_FAILED && /host key verification failed/i.test(said),
    code: "ENGINE_REFUSED",
    says: ({ url }) => `The machine of ${url} is not known to ssh, or is not the one that it knows`,
    hint: ({ command }) => `Run \`${command} true\`, compare the host key with that of the machine, and accept it.`,
  },
  {
    fits: ({ status, said }) => status === SSH_FAILED && said.startsWith("ssh: "),
    code: "ENGINE_REFUSED",
    says: ({ url }) => `The machine of ${url} cannot be reached`,
    hint: () => "Check the address given with --host or DOCKER_HOST.",
  },
  {
    fits: ({ status }) => status === NOT_FOUND,
    code: "NO_ENGINE",
    says: ({ url }) => `The machine of ${url} has no docker command`,
    hint: ({ command }) => `Install the docker client there, so that \`${command} docker version\` finds it.`,
  },
  {
    fits: ({ status, said }) => status !== SSH_FAILED && /permission denied/i.test(said),
    code: "ENGINE_DENIED",
    says: ({ url }) => `The engine at ${url} may not be used by the user there`,
    hint: () => "Let that user join the group that owns the socket (often: docker), or name another user.",
  },
  {
    fits: ({ status, said }) => status !== SSH_FAILED && /no such file|connection refused|cannot connect/i.test(said),
    code: "NO_ENGINE",
    says: ({ url }) => `There is no engine at ${url}`,
    hint: () => "Start the engine there, or name its socket: ssh://user@host/path/to.sock.",
  },
];

/**
 * The error for a request over `ssh` that failed with `thrown`, where the way there explains it; `end` is how the last `ssh` that failed did
 * so, if one did.
 */
export function toSshError(place: SshPlace, thrown: unknown, end: SshEnd | undefined): SandboxError | undefined {
  const code = systemCode(thrown);
  if (thrown instanceof Error && "syscall" in thrown && String(thrown.syscall).startsWith("spawn"))
    return new SandboxError(
      "ENGINE_REFUSED",
      `The engine at ${place.url} cannot be reached: ssh cannot be started (${code}).`,
      "Install the OpenSSH client, or name another engine with --host.",
    );
  if (code?.startsWith("HPE_") === true)
    return new SandboxError(
      "NOT_AN_ENGINE",
      `What answers at ${place.url} is not a container engine: it does not speak HTTP.`,
      `Make \`${place.command} true\` print nothing: what the shell there prints by itself gets into the connection.`,
    );
  const fault = FAULTS.find(({ fits }) => end !== undefined && fits(end));
  if (end === undefined || fault === undefined) return undefined;
  return new SandboxError(fault.code, `${fault.says(place)}${end.said === "" ? "" : `: ${end.said}`}.`, fault.hint(place));
}
