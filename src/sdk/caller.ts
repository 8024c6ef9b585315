import type { RunContext } from "../run/context.ts";
import { createSecretSources } from "../run/secret-sources.ts";

/** The environment of the program that uses this library: where it looks for an engine, and for the values of secrets. */
export function callerEnvironment(): Readonly<Record<string, string | undefined>> {
  return { ...process.env };
}

/** What a run needs of the caller's machine beside an engine. Disposing of it ends the commands that print secrets. */
export function openCaller(): Required<Pick<RunContext, "secretSources" | "roots">> & Disposable {
  const env = callerEnvironment();
  const secretSources = createSecretSources(env);
  return {
    secretSources,
    roots: async () => (await import("../egress/tls/host-roots.ts")).readHostRoots(env),
    [Symbol.dispose]: () => secretSources[Symbol.dispose](),
  };
}
