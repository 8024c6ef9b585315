import { fileURLToPath } from "node:url";
import { SandboxError } from "../core/errors.ts";
import { formatSize } from "../core/units.ts";
import type { Engine } from "../engine/port.ts";
import { buildImage, listImages } from "../images/build-image.ts";
import { sanitiseLine } from "../output/sanitise.ts";
import { connect } from "./connect.ts";
import { catchInterrupts } from "./interrupts.ts";
import type { Invocation } from "./invocation.ts";
import { isLive, showLiveLine } from "./live-line.ts";
import { type Options, optionsOf, tooMany } from "./options.ts";
import { printTable } from "./table.ts";

/** `sandbox images build [NAME]` and `sandbox images ls`. */
export async function images(invocation: Invocation): Promise<number> {
  const options = optionsOf(invocation);
  const [action, name = "sandbox/base"] = invocation.words;
  if (action !== "build" && action !== "ls") {
    throw new SandboxError(
      "USAGE",
      `"${action ?? ""}" is not something to do with images.`,
      "Write `sandbox images build` or `sandbox images ls`.",
    );
  }
  if (action === "ls" && invocation.words[1] !== undefined) throw tooMany(invocation.words[1], "sandbox images ls");
  const engine = await connect(options);
  try {
    return action === "build" ? await build(engine, name, options) : await list(engine, options);
  } finally {
    engine.close();
  }
}

async function build(engine: Engine, name: string, options: Options): Promise<number> {
  using interrupts = catchInterrupts();
  const progress = createProgress(options.flag("quiet"));
  try {
    const { image, built, source, recipe } = await buildImage({
      store: engine.images,
      name,
      recipeDirectory: fileURLToPath(new URL("../images/base", import.meta.url)),
      force: options.flag("force"),
      onProgress: (line) => progress.say(sanitiseLine(line)),
      signal: interrupts.gentle,
    });
    progress.stop();
    if (options.flag("json")) process.stdout.write(`${JSON.stringify({ image, built, source, recipe })}\n`);
    else process.stdout.write(`${image.ref} ${image.id} ${built ? "built" : "up to date"} (${source}, ${formatSize(image.bytes)})\n`);
    return 0;
  } finally {
    progress.stop();
  }
}

async function list(engine: Engine, options: Options): Promise<number> {
  const found = await listImages(engine.images);
  if (options.flag("json")) process.stdout.write(`${JSON.stringify(found)}\n`);
  else {
    const rows = found.map(({ ref, id, bytes, created }) => [sanitiseLine(ref), id.slice(7, 19), formatSize(bytes), created.toISOString()]);
    printTable(["IMAGE", "ID", "SIZE", "CREATED"], rows);
  }
  return 0;
}

/** A line that changes on a terminal, plain lines elsewhere, nothing when quiet. */
function createProgress(quiet: boolean): { say(line: string): void; stop(): void } {
  if (quiet) return { say: () => undefined, stop: () => undefined };
  if (!isLive(process.stderr)) return { say: (line) => void process.stderr.write(`${line}\n`), stop: () => undefined };
  let text = "Building";
  const live = showLiveLine(process.stderr, () => text);
  return {
    stop: () => live.stop(),
    say: (line) => {
      text = line;
    },
  };
}
