import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough, type Readable } from "node:stream";
import { SandboxError, systemCode } from "../core/errors.ts";
import type { BuildOrder } from "./build-order.ts";
import type { Distribution } from "./distribution.ts";
import type { Progress, StoredImage } from "./image-store.ts";
import { installTool } from "./install-tool.ts";
import { RECIPE_LABEL } from "./recipe.ts";

const PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
const LEFT_OUT = ["/usr/share/doc/*", "/usr/share/man/*", "/usr/share/info/*", "/usr/share/locale/*"];
const KEPT_LINES = 20;
/** The lines of its log that say what takes the time. */
const STEP = /^I: ((?:running apt-get|downloading|extracting|installing|creating) .*)$/;

/**
 * Makes the image from the distribution's packages with mmdebstrap(1), which needs root. It runs in mount and pid namespaces of its
 * own: when it is given up, all of its processes and mounts go at once.
 */
export async function buildFromPackages(order: PackageOrder): Promise<StoredImage> {
  const { store, ref, recipe, digest, distribution, onProgress, signal } = order;
  if (process.getuid?.() !== 0) throw notRoot(recipe.from);
  await installTool("mmdebstrap", { onProgress, signal });
  onProgress(`Installing ${recipe.packages.length} packages of ${distribution.id} ${distribution.suite} and what they need`);
  const directory = await mkdtemp(join(tmpdir(), "sandbox-image-")).catch((error: unknown) => {
    throw noRoom(error);
  });
  await chmod(directory, 0o755);
  const bootstrap = await startBootstrap(order, directory);
  try {
    return await store.importRootfs(bootstrap.rootfs, {
      ref,
      config: { env: { PATH }, workdir: "/workspace", command: ["bash"], labels: { [RECIPE_LABEL]: digest } },
      signal,
    });
  } catch (error) {
    throw signal.aborted ? interrupted(error) : error;
  } finally {
    await bootstrap.end();
    await rm(directory, { recursive: true, force: true });
  }
}

type PackageOrder = BuildOrder & { readonly distribution: Distribution };

type Bootstrap = {
  /** A tar archive that ends only when everything went well, and breaks with `BUILD_FAILED` otherwise. */
  readonly rootfs: Readable;
  /** Resolves when no process of it is left. */
  end(): Promise<void>;
};

async function startBootstrap(order: PackageOrder, directory: string): Promise<Bootstrap> {
  const { execa } = await import("execa");
  const child = execa("unshare", bootstrapArguments(order, directory), { stdin: "ignore", buffer: false, reject: false });
  const rootfs = new PassThrough();
  const said = followLog(child.stderr, order.onProgress);
  child.stdout.pipe(rootfs, { end: false });
  const closed = child.then(({ failed: broken, exitCode, signal, originalMessage }) => {
    if (!broken) rootfs.end();
    else if (signal !== undefined) rootfs.destroy(failed(`signal ${signal}`, said));
    else rootfs.destroy(failed(exitCode === undefined ? (originalMessage ?? "an unknown error") : `status ${exitCode}`, said));
  });
  return {
    rootfs,
    end: () => {
      child.kill("SIGKILL");
      return closed;
    },
  };
}

function bootstrapArguments({ recipe, distribution, store }: PackageOrder, directory: string): readonly string[] {
  return [
    ...["--mount", "--pid", "--mount-proc", "--fork", "--kill-child=SIGKILL", "--"],
    ...["env", `TMPDIR=${directory}`, "mmdebstrap"],
    "--variant=essential",
    "--format=tar",
    `--architectures=${store.arch}`,
    `--include=${recipe.packages.join(",")}`,
    '--aptopt=Apt::Install-Recommends "false"',
    ...LEFT_OUT.map((pattern) => `--dpkgopt=path-exclude=${pattern}`),
    "--skip=output/dev",
    `--customize-hook=${join(recipe.directory, "finish.sh").replaceAll(/[^\w./-]/g, "\\$&")} "$1"`,
    distribution.suite,
    "-",
    ...distribution.sources,
  ];
}

/** Keeps the last lines of what mmdebstrap says, and passes its own steps on. */
function followLog(log: Readable, onProgress: Progress): readonly string[] {
  const kept: string[] = [];
  let rest = "";
  log.setEncoding("utf8").on("data", (text: string) => {
    const lines = (rest + text).split(/\r?\n|\r/);
    rest = lines.pop() ?? "";
    for (const line of lines) {
      kept.push(line);
      if (kept.length > KEPT_LINES) kept.shift();
      const step = STEP.exec(line)?.[1];
      if (step !== undefined) onProgress(`mmdebstrap: ${step}`);
    }
  });
  return kept;
}

function failed(how: string, said: readonly string[]): SandboxError {
  const reason = said.find((line) => /^(E|Err|dpkg: error)[: ]/.test(line)) ?? said.at(-1) ?? "it said nothing";
  return new SandboxError(
    "BUILD_FAILED",
    `mmdebstrap ended with ${how}: ${reason.replace(/^E: /, "").replace(/[.\s]+$/, "")}.`,
    "Check that `apt-get update` works on this machine, then run again with --verbose.",
    { cause: new Error(said.join("\n")) },
  );
}

function interrupted(cause: unknown): SandboxError {
  return new SandboxError("INTERRUPTED", "Making the base image was given up.", "Run `sandbox images build` again.", { cause });
}

function noRoom(cause: unknown): SandboxError {
  return new SandboxError(
    "BUILD_FAILED",
    `The directory "${tmpdir()}" for temporary files can't be written (${systemCode(cause) ?? "unknown error"}).`,
    "Set TMPDIR to a directory that you may write to.",
    { cause },
  );
}

function notRoot(from: string): SandboxError {
  return new SandboxError(
    "BUILD_FAILED",
    `The base image cannot be made: no registry gives ${from}, and only root can make it from packages.`,
    `Run \`sudo sandbox images build\` once, or give the engine access to a registry (docker pull ${from}).`,
  );
}
