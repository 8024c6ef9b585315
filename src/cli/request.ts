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
  const text = <Key extends string>(key: Key, name: string): { [K in Key]?: string } => {
    const value = options.text(name);
    return value === undefined ? {} : ({ [key]: value } as { [K in Key]?: string });
  };
  const pull = options.text("pull");
  return {
    command,
    ...text("image", "image"),
    ...(pull === "missing" || pull === "always" || pull === "never" ? { pull } : {}),
    requireDigest: options.flag("requireDigest"),
    ...text("workdir", "workdir"),
    ...text("workspace", "workspace"),
    exclude: options.list("exclude"),
    withGit: options.flag("withGit"),
    mounts: options.list("mount"),
    artifacts: options.list("artifact"),
    ...text("out", "out"),
    ...text("patch", "patch"),
    env: await readEnvironment(options.list("env"), options.list("envFile"), process.env),
    allow: options.list("allow"),
    secrets: await readSecrets(options.list("secret")),
    learn: options.text("learn") !== undefined,
    allowPrivate: options.flag("allowPrivate"),
    ...text("rate", "rate"),
    ...text("maxEgress", "maxEgress"),
    ...text("memory", "memory"),
    ...text("cpus", "cpus"),
    ...text("pids", "pidsLimit"),
    ...text("disk", "disk"),
    ...text("tmpSize", "tmpSize"),
    ...text("timeout", "timeout"),
    ...text("killAfter", "killAfter"),
    ...text("maxOutput", "maxOutput"),
    ...text("user", "user"),
    ...text("runtime", "runtime"),
    ...text("hostname", "hostname"),
    labels: Object.fromEntries(options.list("label").map((pair) => parsePair(pair, "--label"))),
    keep: options.flag("keep"),
    terminal: options.flag("tty"),
  };
}
