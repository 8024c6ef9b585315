import type { TaskRequest } from "../policy/task-request.ts";
import { readEnvironment } from "./environment.ts";
import { type Options, parsePair } from "./options.ts";
import { readSecrets } from "./secrets.ts";

/** What the flags of a command that runs something ask for, completed by the task file of `-f`. */
export async function requestOf(command: readonly string[], options: Options): Promise<TaskRequest> {
  return completeRequest(await flagsOf(command, options), options);
}

async function completeRequest(request: TaskRequest, options: Options): Promise<TaskRequest> {
  const file = options.text("file");
  if (file === undefined) return request;
  const { withTaskFile } = await import("./task-file.ts");
  return withTaskFile(request, file);
}

async function flagsOf(command: readonly string[], options: Options): Promise<TaskRequest> {
  const pull = options.text("pull");
  const pids = options.text("pidsLimit");
  return {
    command,
    ...givenTexts(options),
    ...(pull === "missing" || pull === "always" || pull === "never" ? { pull } : {}),
    requireDigest: options.flag("requireDigest"),
    exclude: options.list("exclude"),
    withGit: options.flag("withGit"),
    mounts: options.list("mount"),
    artifacts: options.list("artifact"),
    env: await readEnvironment(options.list("env"), options.list("envFile"), process.env),
    allow: options.list("allow"),
    secrets: await readSecrets(options.list("secret")),
    learn: options.text("learn") !== undefined,
    allowPrivate: options.flag("allowPrivate"),
    ...(pids === undefined ? {} : { pids }),
    labels: Object.fromEntries(options.list("label").map((pair) => parsePair(pair, "--label"))),
    keep: options.flag("keep"),
    terminal: options.flag("tty"),
  };
}

/** Flags whose text is a field of the same name as it stands. */
const TEXTS = [
  ...(["image", "workdir", "workspace", "out", "patch", "rate", "maxEgress", "memory", "cpus", "disk", "tmpSize"] as const),
  ...(["timeout", "killAfter", "maxOutput", "user", "runtime", "hostname"] as const),
];

function givenTexts(options: Options): Partial<Record<(typeof TEXTS)[number], string>> {
  const given = TEXTS.map((name) => [name, options.text(name)] as const);
  return Object.fromEntries(given.filter((entry): entry is [(typeof TEXTS)[number], string] => entry[1] !== undefined));
}
