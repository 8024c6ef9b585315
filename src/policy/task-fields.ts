import { posix } from "node:path";
import { SandboxError } from "../core/errors.ts";

/** At least a program; no NUL anywhere; the program itself not empty. */
export function assertCommand(command: readonly string[]): asserts command is readonly [string, ...string[]] {
  const program = command[0];
  if (program === undefined)
    throw new SandboxError("BAD_COMMAND", "There is no command to run.", "Write it after `--`: sandbox run -- CMD [ARG…].");
  if (program === "")
    throw new SandboxError("BAD_COMMAND", "The command's first word is empty.", "Name a program; check an unset variable in your script.");
  const bad = command.findIndex((word) => word.includes("\0"));
  if (bad !== -1)
    throw new SandboxError(
      "BAD_COMMAND",
      `Word ${bad + 1} of the command contains a NUL byte.`,
      "Pass binary data on standard input or as a file.",
    );
}

const ENV_NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;

export function assertEnvironment(env: Readonly<Record<string, string>>): void {
  for (const [name, value] of Object.entries(env)) {
    if (!ENV_NAME.test(name))
      throw new SandboxError(
        "BAD_ENV",
        `"${name}" is not a name of an environment variable.`,
        "Write -e NAME=VALUE with letters, digits and underscores in NAME.",
      );
    if (value.includes("\0"))
      throw new SandboxError("BAD_ENV", `The value of ${name} contains a NUL byte.`, "Pass binary data on standard input or as a file.");
  }
}

const LABEL_NAME = /^[A-Za-z0-9](?:[A-Za-z0-9._/-]{0,126}[A-Za-z0-9])?$/;

/** How labels begin that are not the user's own. */
export const OUR_LABELS = "sandbox.";

/** Labels of the user's own. */
export function assertLabels(labels: Readonly<Record<string, string>>): void {
  for (const [name, value] of Object.entries(labels)) {
    if (!LABEL_NAME.test(name) || value.includes("\0"))
      throw new SandboxError(
        "BAD_LABEL",
        `"${name}" is not a label.`,
        "Write --label KEY=VALUE with letters, digits, `.`, `_`, `-` and `/` in KEY.",
      );
    if (name.startsWith(OUR_LABELS))
      throw new SandboxError("BAD_LABEL", `The label ${name} begins with "${OUR_LABELS}", which is ours.`, "Choose another name.");
  }
}

/** A whole number from 1 to 4,194,304 (the kernel's own limit of process ids). */
export function parseCount(text: string, what: string): number {
  const value = /^\d{1,7}$/.test(text) ? Number(text) : 0;
  if (value >= 1 && value <= 4_194_304) return value;
  throw new SandboxError("BAD_QUOTA", `${what} is "${text}", which is not a whole number of at least 1.`, "Write a number such as 256.");
}

/** A number of CPUs from 0.01 (the engine's least) to 1024. */
export function parseCpus(text: string): number {
  const value = /^\d{1,4}(?:\.\d{1,9})?$/.test(text) ? Number(text) : 0;
  if (value >= 0.01 && value <= 1024) return value;
  throw new SandboxError("BAD_QUOTA", `--cpus is "${text}", which is not a number of CPUs.`, "Write a number such as 1 or 0.5.");
}

const USER = /^(\d{1,10})(?::(\d{1,10}))?$/;
const MAX_ID = 4_294_967_294;

/** `UID[:GID]`, numbers only; never 0, since nothing that runs inside needs to be root. */
export function parseUser(text: string): { readonly uid: number; readonly gid: number } {
  const match = USER.exec(text);
  const uid = Number(match?.[1]);
  const gid = Number(match?.[2] ?? match?.[1]);
  const legal = match !== null && uid <= MAX_ID && gid <= MAX_ID;
  if (!legal) throw new SandboxError("BAD_USER", `"${text}" is not a user.`, "Write UID or UID:GID in numbers, such as 1000:1000.");
  if (uid === 0 || gid === 0)
    throw new SandboxError(
      "BAD_USER",
      `The user ${text} is root.`,
      "Choose a user and a group other than 0; root inside a container is one bug away from root outside.",
    );
  return { uid, gid };
}

const HOSTNAME = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/i;

export function parseHostname(text: string): string {
  if (HOSTNAME.test(text)) return text;
  throw new SandboxError("USAGE", `"${text}" is not a host name.`, "Write one label of letters, digits and hyphens, at most 63 long.");
}

export function parseWorkdir(text: string): string {
  if (!posix.isAbsolute(text) || text.includes("\0"))
    throw new SandboxError("BAD_PATH", `The working directory "${text}" is not an absolute path.`, "Write a path such as /workspace/src.");
  return posix.normalize(text);
}

const MAX_PATH_BYTES = 4096;

/** A place below `/workspace`, relative or absolute, as a path relative to it; `.` for the workspace itself. Throws `BAD_PATH`. */
export function parseWorkspacePath(text: string): string {
  const plain = posix.relative("/workspace", posix.resolve("/workspace", text)) || ".";
  const leaves = plain === ".." || plain.startsWith("../") || text.split("/").includes("..");
  if (text !== "" && !leaves && !text.includes("\0") && Buffer.byteLength(plain) < MAX_PATH_BYTES) return plain;
  throw new SandboxError(
    "BAD_PATH",
    `${JSON.stringify(text.slice(0, 200))} is not a place below /workspace.`,
    "Write a path such as out/report.txt, without `..`.",
  );
}

/** `source` as written, `target` absolute inside. */
export type MountRequest = { readonly source: string; readonly target: string; readonly writable: boolean };

/** `SRC:DST[:ro|rw]`. Whether it may be mounted is judged later, on the real path. */
export function parseMount(text: string): MountRequest {
  const [source = "", target = "", mode = "ro", ...rest] = text.split(":");
  if (source === "" || target === "" || rest.length > 0 || (mode !== "ro" && mode !== "rw")) {
    throw new SandboxError(
      "BAD_MOUNT",
      `"${text}" is not a mount.`,
      "Write SRC:DST for read-only or SRC:DST:rw; paths can't contain a colon.",
    );
  }
  return { source, target, writable: mode === "rw" };
}

/** No two mounts at one place, and none over the files that are copied in. */
export function assertMountsApart(mounts: readonly MountRequest[], hasWorkspace: boolean): void {
  const twice = mounts.find(({ target }, index) =>
    mounts.slice(0, index).some((other) => posix.normalize(other.target) === posix.normalize(target)),
  );
  if (twice !== undefined)
    throw new SandboxError("BAD_MOUNT", `Two mounts want the place ${twice.target}.`, "Give each mount a place of its own.");
  const over = mounts.find(({ target }) => `${posix.normalize(target)}/`.startsWith("/workspace/"));
  if (!hasWorkspace || over === undefined) return;
  throw new SandboxError(
    "BAD_MOUNT",
    `The mount at ${over.target} would hide what --workspace copies in.`,
    "Mount it elsewhere, or leave out --workspace.",
  );
}
