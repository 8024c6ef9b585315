import { sanitiseLine } from "../output/sanitise.ts";
import { connect } from "./connect.ts";
import type { Invocation } from "./invocation.ts";
import { optionsOf } from "./options.ts";
import { printTable } from "./table.ts";

/** `sandbox ps`: the containers of runs, of any owner. */
export async function ps(invocation: Invocation): Promise<number> {
  const options = optionsOf(invocation);
  const engine = await connect(options);
  try {
    const containers = await engine.list();
    if (options.flag("json")) {
      process.stdout.write(`${JSON.stringify(containers)}\n`);
      return 0;
    }
    const rows = containers.map(({ run, state, image, created, owner, kept }) => [
      run,
      kept ? `${state} (kept)` : state,
      sanitiseLine(image),
      created.toISOString(),
      String(owner.pid),
    ]);
    printTable(["RUN", "STATE", "IMAGE", "CREATED", "OWNER"], rows);
    return 0;
  } finally {
    engine.close();
  }
}
