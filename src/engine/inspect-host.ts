import { type Finding, judgeHost } from "./judge-host.ts";
import type { Engine } from "./port.ts";

/** Asks the engine about itself and its machine and judges whether the sandbox's promises can be kept there. */
export async function inspectHost(engine: Engine): Promise<readonly Finding[]> {
  return judgeHost(await engine.facts());
}
