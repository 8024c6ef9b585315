import { DEFAULT_QUOTAS } from "../policy/quotas.ts";
import { DEFAULT_IMAGE, DEFAULT_UID } from "../policy/resolve-task.ts";

/** One flag of the command line: the parser, `--help` and the reference are all made from these tables. */
export type Flag = {
  /** As commander reads it: `-m, --memory <size>`. */
  readonly flags: string;
  readonly about: string;
  /** The default as people read it. */
  readonly fallback?: string;
  /** May be given many times. */
  readonly repeat?: true;
  /** The only values. */
  readonly choices?: readonly string[];
};

/** Flags that every command has. */
export const COMMON_FLAGS: readonly Flag[] = [
  { flags: "--json", about: "one JSON document on standard output, errors too" },
  { flags: "--no-input", about: "never ask" },
  { flags: "-q, --quiet", about: "say nothing about the run on standard error" },
  { flags: "--verbose", about: "say more on standard error" },
];

/** Flags of the commands that speak to an engine. */
export const ENGINE_FLAGS: readonly Flag[] = [
  {
    flags: "-H, --host <url>",
    about: "engine: unix://PATH, tcp://HOST:PORT (TLS) or ssh://[USER@]HOST",
    fallback: "DOCKER_HOST, the docker context, the usual sockets",
  },
];

export const RUN_FLAGS: readonly Flag[] = [
  { flags: "--image <ref>", about: "image to run in", fallback: DEFAULT_IMAGE },
  {
    flags: "--pull <when>",
    about: "when to get the image from its registry",
    fallback: "missing",
    choices: ["missing", "always", "never"],
  },
  { flags: "--require-digest", about: "refuse an image that is not named by its digest" },
  {
    flags: "-f, --file <file>",
    about: "take limits, egress rules and secrets from a task file; other flags can only narrow it",
    fallback: "none; never loaded by itself",
  },
  { flags: "-w, --workdir <dir>", about: "working directory inside", fallback: "/workspace" },
  { flags: "--workspace <dir>", about: "copy this directory's files in to /workspace; .gitignore is honoured", fallback: "empty" },
  { flags: "--exclude <glob>", about: "leave what matches out of the copy; without a slash it matches at any depth", repeat: true },
  { flags: "--with-git", about: "copy .git too" },
  { flags: "--mount <src:dst[:rw]>", about: "bind a host path, read-only unless :rw", repeat: true },
  { flags: "--artifact <glob>", about: "collect these files from /workspace after the command, also when it failed", repeat: true },
  { flags: "--out <dir>", about: "directory for the artifacts", fallback: "./sandbox-out/<run>" },
  { flags: "--patch <file>", about: "write the workspace's changes as a unified diff, in a directory that exists" },
  {
    flags: "-e, --env <name[=value]>",
    about: "environment variable, with the caller's value when there is none; nothing else is inherited",
    repeat: true,
  },
  { flags: "--env-file <file>", about: "environment variables, one NAME=VALUE a line", repeat: true },
  {
    flags: "--allow <host[:port][,…]>",
    about: "let connections to a host out: x.com, *.x.com (one label), **.x.com (any depth), or NAME=ADDR:PORT for a fixed address",
    fallback: "nothing; ports 443 and 80",
    repeat: true,
  },
  {
    flags: "--secret <name@host[,host]>",
    about:
      "inside, $NAME is a placeholder; the caller's value of NAME takes its place in headers to these hosts. Also NAME=env:VARIABLE@HOST, NAME=file:PATH@HOST, NAME=cmd:COMMAND@HOST",
    repeat: true,
  },
  { flags: "--allow-private", about: "allowed names may resolve to addresses of private networks" },
  { flags: "--rate <n/unit>", about: "HTTP requests for each rule: 30/m", fallback: "unlimited" },
  { flags: "--max-egress <size>", about: "bytes out in all; past it the run ends", fallback: "unlimited" },
  { flags: "--learn <file>", about: "write the narrowest rules that cover what the command used of --allow to a task file" },
  { flags: "-m, --memory <size>", about: "memory for processes and writable places, without swap", fallback: DEFAULT_QUOTAS.memory },
  { flags: "-c, --cpus <number>", about: "CPUs, fractions too", fallback: DEFAULT_QUOTAS.cpus },
  { flags: "--pids-limit <number>", about: "processes and threads", fallback: DEFAULT_QUOTAS.pids },
  { flags: "--disk <size>", about: "size of /workspace", fallback: `${DEFAULT_QUOTAS.disk}, at most half of --memory` },
  { flags: "--tmp-size <size>", about: "size of /tmp", fallback: `${DEFAULT_QUOTAS.tmpSize}, at most an eighth of --memory` },
  { flags: "--timeout <duration>", about: "wall clock from the command's start; then TERM", fallback: DEFAULT_QUOTAS.timeout },
  { flags: "--kill-after <duration>", about: "from TERM to KILL of everything", fallback: DEFAULT_QUOTAS.killAfter },
  {
    flags: "--max-output <size>",
    about: "for each of standard output and error; past it the run ends",
    fallback: DEFAULT_QUOTAS.maxOutput,
  },
  { flags: "-i, --interactive", about: "keep standard input open", fallback: "piped if it is not a terminal" },
  { flags: "-t, --tty", about: "a terminal inside" },
  { flags: "-u, --user <uid[:gid]>", about: "user inside, in numbers, never root", fallback: String(DEFAULT_UID) },
  { flags: "--runtime <name>", about: "OCI runtime known to the engine, such as runsc", fallback: "the engine's" },
  { flags: "--hostname <name>", about: "host name inside", fallback: "sandbox" },
  { flags: "--label <key=value>", about: "label of the run and its container", repeat: true },
  { flags: "--keep", about: "keep the stopped container" },
  { flags: "--raw", about: "pass terminal control sequences through to a terminal" },
  { flags: "--events", about: "NDJSON events on standard output instead of the command's output" },
  { flags: "--result <file>", about: "write the result there as well, in a directory that exists" },
];

/** Flags of `run` that have no sense for many runs: what they name is one file, one terminal, or one stream. */
const ONE_RUN_ONLY = ["--out", "--patch", "--learn", "--interactive", "--tty", "--keep", "--raw", "--events", "--result"];

/** Flags of `run` that `batch` has too; they hold for every task. */
export const EACH_TASK_FLAGS: readonly Flag[] = RUN_FLAGS.filter(
  ({ flags }) => !flags.split(/[ ,]+/).some((word) => ONE_RUN_ONLY.includes(word)),
);

export const BATCH_FLAGS: readonly Flag[] = [
  { flags: "--out <dir>", about: "directory for the results, new or empty: DIR/<id>/ for each task, DIR/summary.json" },
  { flags: "--resume", about: "go on with the batch in --out: what has a result is not run again, unless the task has changed" },
  { flags: "-j, --jobs <number>", about: "tasks at one time", fallback: "the CPUs of this machine" },
  { flags: "--template <command>", about: "command for each row of CSV, without a shell; {COLUMN} is filled within one argument" },
  { flags: "--fail-fast", about: "start no more tasks after the first that does not complete with exit status 0" },
  {
    flags: "--retries <number>",
    about: "try a task again where the sandbox or the engine failed, never where the task did",
    fallback: "0",
  },
  { flags: "--junit <file>", about: "write a JUnit report as well, in a directory that exists" },
];

/** Flags of `run` that are about its one command, what comes of it, and how that is shown. */
const ONE_COMMAND_ONLY = ["--artifact", "--out", "--patch", "--learn", "--interactive", "--tty", "--raw", "--events", "--result"];

/** Flags of `run` that say what a sandbox is, for whatever commands come later. */
export const SANDBOX_FLAGS: readonly Flag[] = RUN_FLAGS.filter(
  ({ flags }) => !flags.split(/[ ,]+/).some((word) => ONE_COMMAND_ONLY.includes(word)),
);

export const MCP_FLAGS: readonly Flag[] = [
  {
    flags: "--isolation <what>",
    about: "one sandbox for the session, or one for each call",
    fallback: "session",
    choices: ["session", "call"],
  },
];
