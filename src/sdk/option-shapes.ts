import { MOST_JOBS, MOST_RETRIES } from "../batch/run-batch.ts";
import type { RuleSpec, SecretRequest } from "../policy/egress-spec.ts";
import type { ExecOptions } from "../run/command-request.ts";
import type { Sandbox } from "../run/open-sandbox.ts";
import type { Shape } from "./judge-options.ts";
import {
  CONTENT,
  ENGINE,
  either,
  FLAG,
  FUNCTION,
  type Kind,
  listOf,
  NAMED_TEXTS,
  NUMBER,
  needed,
  objectOf,
  oneOf,
  SIGNAL,
  TASKS,
  TEXT,
  TEXTS,
  whole,
} from "./option-kinds.ts";
import type { BatchOptions, EngineOptions, RunOptions, SandboxOptions, TaskOptions } from "./options.ts";

const RULE: Shape<RuleSpec> = {
  text: needed(TEXT),
  host: needed(TEXT),
  deny: needed(FLAG),
  ports: needed(listOf(NUMBER, "a list of numbers")),
  address: objectOf("an address", { ip: needed(TEXT), port: NUMBER }),
  allowPrivate: needed(FLAG),
  methods: TEXTS,
  paths: TEXTS,
  rate: TEXT,
  burst: NUMBER,
  maxBytes: NUMBER,
  maxConnections: NUMBER,
  upgrade: needed(listOf(oneOf("websocket"), "a list of protocols")),
  ca: TEXT,
};

const SOURCES: Readonly<Record<SecretRequest["from"]["kind"], Kind>> = {
  env: objectOf("a variable", { kind: needed(TEXT), variable: needed(TEXT) }),
  file: objectOf("a file", { kind: needed(TEXT), path: needed(TEXT) }),
  cmd: objectOf("a command", { kind: needed(TEXT), command: needed(TEXT) }),
};

const SECRET: Shape<SecretRequest> = {
  name: needed(TEXT),
  from: needed(either("a variable, a file or a command", ...Object.values(SOURCES))),
  hosts: needed(TEXTS),
  in: needed(listOf(oneOf("header", "body"), "a list of parts of a request")),
  header: TEXT,
};

const COMMON: Shape<Omit<SandboxOptions, "signal">> = {
  image: TEXT,
  pull: oneOf("missing", "always", "never"),
  requireDigest: FLAG,
  workdir: TEXT,
  workspace: TEXT,
  exclude: TEXTS,
  withGit: FLAG,
  mounts: TEXTS,
  env: NAMED_TEXTS,
  allow: TEXTS,
  rules: listOf(objectOf("a rule", RULE), "a list of rules"),
  secrets: listOf(either("a secret", TEXT, objectOf("a secret", SECRET)), "a list of secrets"),
  allowPrivate: FLAG,
  rate: TEXT,
  maxEgress: TEXT,
  memory: TEXT,
  cpus: TEXT,
  pids: TEXT,
  disk: TEXT,
  tmpSize: TEXT,
  timeout: TEXT,
  killAfter: TEXT,
  maxOutput: TEXT,
  user: TEXT,
  runtime: TEXT,
  hostname: TEXT,
  labels: NAMED_TEXTS,
  keep: FLAG,
  host: TEXT,
  engine: ENGINE,
};

/** Options of `createSandbox`. */
export const SANDBOX_SHAPE: Shape<SandboxOptions> = { ...COMMON, signal: SIGNAL };

const RUN: Shape<RunOptions> = { ...COMMON, command: needed(TEXTS), artifacts: TEXTS, out: TEXT, patch: TEXT };

/** Options of `runTask`. */
export const TASK_SHAPE: Shape<TaskOptions> = { ...RUN, stdin: CONTENT, signal: SIGNAL, onOutput: FUNCTION };

const { command: _command, patch: _patch, keep: _keep, ...forAll } = RUN;

/** Options of `runBatch`. */
export const BATCH_SHAPE: Shape<BatchOptions> = {
  ...forAll,
  tasks: needed(TASKS),
  template: TEXT,
  out: needed(TEXT),
  resume: FLAG,
  jobs: whole(1, MOST_JOBS),
  retries: whole(0, MOST_RETRIES),
  failFast: FLAG,
  signal: SIGNAL,
  onEvent: FUNCTION,
};

/** Options of `openEngine`. */
export const ENGINE_SHAPE: Shape<EngineOptions> = { host: TEXT, pool: whole(0, MOST_JOBS), onWarning: FUNCTION };

/** Options of a sandbox's `exec`. */
export const EXEC_SHAPE: Shape<ExecOptions> = {
  stdin: CONTENT,
  env: NAMED_TEXTS,
  cwd: TEXT,
  signal: SIGNAL,
  timeout: TEXT,
  killAfter: TEXT,
  maxOutput: TEXT,
  onStdout: FUNCTION,
  onStderr: FUNCTION,
  terminal: objectOf("a terminal's size", { rows: needed(NUMBER), columns: needed(NUMBER), onResize: FUNCTION }),
};

type OptionsOf<Name extends "write" | "read" | "list"> = NonNullable<Parameters<Sandbox[Name]>[Name extends "write" ? 2 : 1]>;

/** Options of a sandbox's `write`, `read` and `list`. */
export const WRITE_SHAPE: Shape<OptionsOf<"write">> = { mode: NUMBER };
export const READ_SHAPE: Shape<OptionsOf<"read">> = { maxBytes: NUMBER };
export const LIST_SHAPE: Shape<OptionsOf<"list">> = { recursive: FLAG };
