import { prune as pruneEngine } from "../engine/reaper.ts";
import { connect } from "./connect.ts";
import type { Invocation } from "./invocation.ts";
import { optionsOf } from "./options.ts";

/** `sandbox prune`: removes what dead owners left, and with `--kept` what `--keep` kept. */
export async function prune(invocation: Invocation): Promise<number> {
  const options = optionsOf(invocation);
  const engine = await connect(options);
  try {
    const { removed, volumes } = await pruneEngine(engine);
    const kept: string[] = [];
    for (const container of options.flag("kept") ? await engine.list() : []) {
      if (container.kept && container.state !== "running" && (await engine.remove(container.run))) kept.push(container.run);
    }
    if (options.flag("json")) process.stdout.write(`${JSON.stringify({ removed: [...removed, ...kept], volumes })}\n`);
    else for (const name of [...removed, ...kept, ...volumes]) process.stdout.write(`${name}\n`);
    return 0;
  } finally {
    engine.close();
  }
}
