import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { SandboxError, systemCode } from "../core/errors.ts";

/** What every container of ours gets from this machine: the guest for its architecture and the seccomp profile. */
export type GuestFiles = {
  /** The volume's version: 12 hexadecimal digits that change with the guest and with the profile. */
  readonly version: string;
  readonly sha256: string;
  /** The profile as JSON, without its comments. */
  readonly seccomp: string;
  /** Reads the guest and checks it against its published sum. Throws `GUEST_MISSING`. */
  read(): Promise<Buffer>;
};

/** Changes with the files that a volume holds besides these two. */
const LAYOUT = "1";
const PLATFORM: Readonly<Record<string, string>> = { amd64: "linux-x64", arm64: "linux-arm64" };

/**
 * Finds the guest for `arch` (OCI name) below `directory`, where `SHA256SUMS` lists what was shipped, and reads the seccomp profile.
 * Throws `IMAGE_PLATFORM` for an architecture that has no guest and `GUEST_MISSING` for an incomplete installation.
 */
export async function findGuestFiles(
  arch: string,
  { directory, seccompFile }: { readonly directory: string; readonly seccompFile: string },
): Promise<GuestFiles> {
  const platform = PLATFORM[arch];
  if (platform === undefined) {
    throw new SandboxError(
      "IMAGE_PLATFORM",
      `There is no guest for the architecture ${JSON.stringify(arch)}.`,
      "Use an image for linux/amd64 or linux/arm64.",
    );
  }
  const [sums, seccomp] = await Promise.all([readShipped(join(directory, "SHA256SUMS")), readShipped(seccompFile)]);
  const sha256 = listedSum(sums.toString("utf8"), `${platform}/guest`);
  const path = join(directory, platform, "guest");
  return {
    sha256,
    seccomp: withoutComments(seccomp.toString("utf8")),
    version: createHash("sha256").update(LAYOUT).update(sha256).update(seccomp).digest("hex").slice(0, 12),
    read: () => readChecked(path, sha256),
  };
}

/** The profile is for people to read, and an engine writes and reads it a dozen times for every container: it gets what it needs of it. */
function withoutComments(profile: string): string {
  return JSON.stringify(JSON.parse(profile, (key, value: unknown) => (key === "comment" ? undefined : value)));
}

export function sha256Of(bytes: Buffer): string {
  return createHash("sha256").update(bytes).digest("hex");
}

async function readChecked(path: string, sha256: string): Promise<Buffer> {
  const bytes = await readShipped(path);
  const actual = sha256Of(bytes);
  if (actual === sha256) return bytes;
  throw new SandboxError(
    "GUEST_MISSING",
    `The guest ${path} is not the one that was published: its sha256 is ${actual}, not ${sha256}.`,
    "Install the package again.",
  );
}

async function readShipped(path: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (error) {
    throw new SandboxError(
      "GUEST_MISSING",
      `A file of the package is missing: ${path} (${systemCode(error) ?? "unreadable"}).`,
      "Install the package again, or build it with: npm run build.",
      { cause: error },
    );
  }
}

/** A line of sha256sum(1): 64 digits, a space, a space or an asterisk, the path. */
function listedSum(sums: string, path: string): string {
  for (const line of sums.split("\n")) {
    const [, sum, name] = /^([0-9a-f]{64}) [ *](?:\.\/)?(.+)$/.exec(line) ?? [];
    if (sum !== undefined && name === path) return sum;
  }
  throw new SandboxError(
    "GUEST_MISSING",
    `No guest was shipped as ${path}: SHA256SUMS does not list it.`,
    "Install the package again, or build it with: npm run build.",
  );
}
