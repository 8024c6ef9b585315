import { SandboxError } from "../core/errors.ts";
import { isRunId } from "../core/ids.ts";
import { connect } from "./connect.ts";
import type { Invocation } from "./invocation.ts";
import { optionsOf } from "./options.ts";

/** `sandbox kill RUN…`: ends runs; each of them then reports the reason `killed`. */
export async function kill(invocation: Invocation): Promise<number> {
  const options = optionsOf(invocation);
  const bad = invocation.words.find((word) => !isRunId(word));
  if (bad !== undefined) throw new SandboxError("NO_SUCH_RUN", `"${bad}" is not the id of a run.`, "`sandbox ps` lists the runs.");
  const engine = await connect(options);
  try {
    const killed: string[] = [];
    for (const run of invocation.words) {
      if (!(await engine.remove(run)))
        throw new SandboxError("NO_SUCH_RUN", `There is no run ${run} on this engine.`, "`sandbox ps` lists the runs.");
      killed.push(run);
    }
    process.stdout.write(options.flag("json") ? `${JSON.stringify({ killed })}\n` : `${killed.join("\n")}\n`);
    return 0;
  } finally {
    engine.close();
  }
}
