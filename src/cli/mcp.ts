import { SandboxError, toSandboxError } from "../core/errors.ts";
import { pruneDeadOwners } from "../engine/reaper.ts";
import { serveMcp } from "../mcp/serve.ts";
import { sanitiseLine } from "../output/sanitise.ts";
import { resolveSandbox } from "../policy/resolve-task.ts";
import type { RunContext } from "../run/context.ts";
import { createSecretSources } from "../run/secret-sources.ts";
import { connect } from "./connect.ts";
import { catchInterrupts } from "./interrupts.ts";
import type { Invocation } from "./invocation.ts";
import { type Options, optionsOf } from "./options.ts";
import { requestOf } from "./request.ts";
import { VERSION } from "./version.ts";

/** `sandbox mcp`: the sandbox that the flags ask for, as an MCP server on standard input and output. */
export async function mcp(invocation: Invocation): Promise<number> {
  const options = optionsOf(invocation);
  if (options.flag("json"))
    throw new SandboxError("USAGE", "Standard output carries the protocol, so that --json has no place there.", "Leave out --json.");
  const task = resolveSandbox(await requestOf([], options));
  using interrupts = catchInterrupts();
  const engine = createConnection(options);
  const log = (sentence: string): void => {
    if (!options.flag("quiet")) process.stderr.write(`sandbox: ${sanitiseLine(sentence)}\n`);
  };
  try {
    await serveMcp({
      task,
      isolation: options.text("isolation") === "call" ? "call" : "session",
      version: VERSION,
      input: process.stdin,
      output: process.stdout,
      interrupts,
      log,
      openContext: async (): Promise<RunContext> => ({
        engine: await engine.open(),
        keepOutput: false,
        interrupts,
        secretSources: createSecretSources(process.env),
        roots: async () => (await import("../egress/tls/host-roots.ts")).readHostRoots(process.env),
      }),
    });
    return 0;
  } catch (error) {
    const { message, exitStatus } = toSandboxError(error);
    log(message);
    return exitStatus;
  } finally {
    await engine.close();
  }
}

type Connection = { open(): ReturnType<typeof connect>; close(): Promise<void> };

/** One connection for the session, made when it is first needed: a client may start us before the engine. */
function createConnection(options: Options): Connection {
  let engine: ReturnType<typeof connect> | undefined;

  async function open(): ReturnType<typeof connect> {
    const connected = await connect(options);
    pruneDeadOwners(connected).catch(() => undefined);
    return connected;
  }

  return {
    open: () => {
      engine ??= open().catch((error: unknown) => {
        engine = undefined;
        throw error;
      });
      return engine;
    },
    close: async () => {
      const connected = await engine?.catch(() => undefined);
      connected?.close();
    },
  };
}
