import { SandboxError } from "../core/errors.ts";
import type { Progress } from "./image-store.ts";

/** Makes sure that the Debian package `name`, whose program has the same name, is installed. Needs root to install it. Throws `BUILD_FAILED`. */
export async function installTool(
  name: string,
  { onProgress, signal }: { readonly onProgress: Progress; readonly signal: AbortSignal },
): Promise<void> {
  if (await isInstalled(name)) return;
  const { execa, ExecaError } = await import("execa");
  onProgress(`Installing ${name}`);
  const options = { stdin: "ignore", env: { DEBIAN_FRONTEND: "noninteractive" }, cancelSignal: signal } as const;
  try {
    await execa("apt-get", ["update", "-qq"], options);
    await execa("apt-get", ["install", "-y", "-qq", "--no-install-recommends", name], options);
  } catch (error) {
    const reason = error instanceof ExecaError ? (lastLine(error.stderr) ?? error.shortMessage) : "apt-get failed";
    throw new SandboxError(
      "BUILD_FAILED",
      `${name} could not be installed: ${reason}.`,
      `Run \`apt-get install ${name}\` and see what it says.`,
      { cause: error },
    );
  }
}

async function isInstalled(name: string): Promise<boolean> {
  const { execa } = await import("execa");
  const { failed } = await execa(name, ["--version"], { stdin: "ignore", reject: false });
  return !failed;
}

function lastLine(text: unknown): string | undefined {
  const last = typeof text === "string" ? text.trim().split("\n").at(-1) : undefined;
  return last === "" ? undefined : last;
}
