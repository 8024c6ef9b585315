import { SandboxError } from "../core/errors.ts";
import type { EgressRow } from "../egress/accounts/ledger.ts";
import type { Learner } from "../egress/learner.ts";
import type { Rule } from "../egress/rule.ts";
import type { Secrets } from "../egress/secrets/secret.ts";
import type { SecretSources } from "../egress/secrets/secret-values.ts";
import type { RunAuthority } from "../identity/run-authority.ts";
import type { SecretRequest } from "../policy/egress-spec.ts";
import type { LearnedRule } from "../policy/file/write-task-file.ts";
import type { Task } from "../policy/task.ts";
import type { RunContext } from "./context.ts";

/** What a run may send: its rules, ready to judge with, and the authority that looking inside of TLS takes. */
export type EgressPlan = {
  readonly rules: readonly Rule[];
  readonly secrets: Secrets | undefined;
  readonly learner: Learner | undefined;
  readonly authority: Promise<RunAuthority> | undefined;
};

/** The open egress of a run. */
export type Egress = {
  /** Environment that the command needs for it. */
  readonly env: Readonly<Record<string, string>>;
  rows(): readonly EgressRow[];
  bytesOut(): number;
  /** What was used, for a run that learns. */
  learned(): readonly LearnedRule[];
  close(): void;
};

/** Compiles the task's rules; nothing is loaded for a task without any. The authority is made while the engine works. Throws `BAD_RULE`, `BAD_RATE`, `BAD_SECRET` and `SECRET_UNAVAILABLE`. */
export async function planEgress({ egress }: Task, { secretSources }: RunContext): Promise<EgressPlan> {
  if (egress.rules.length === 0) return { rules: [], secrets: undefined, learner: undefined, authority: undefined };
  const { compileRules, needsInside } = await import("../egress/rule.ts");
  const rules = await compileRules(egress.rules, () => performance.now());
  const secrets = egress.secrets.length === 0 ? undefined : await openSecrets(egress.secrets, rules, secretSources);
  const learner = egress.learn ? (await import("../egress/learner.ts")).createLearner() : undefined;
  const all = secrets !== undefined || learner !== undefined;
  const names = rules.filter((rule) => all || needsInside(rule)).map(({ pattern }) => pattern.suffix);
  return { rules, secrets, learner, authority: names.length === 0 ? undefined : makeAuthority(names) };
}

async function openSecrets(
  requests: readonly SecretRequest[],
  rules: readonly Rule[],
  sources: SecretSources | undefined,
): Promise<Secrets> {
  const { planSecrets } = await import("../egress/secrets/secret-plan.ts");
  const secrets = await planSecrets(requests, rules, sources ?? NO_SOURCES);
  for (const request of requests) assertSet(request, sources ?? NO_SOURCES);
  return secrets;
}

/** A variable can't come to be set while the run lasts, as a file can come to be written: the command need not meet the mistake first. */
function assertSet({ name, from }: SecretRequest, sources: SecretSources): void {
  if (from.kind !== "env") return;
  const value = sources.readEnv(from.variable);
  if (value !== undefined && value !== "") return;
  throw new SandboxError(
    "SECRET_UNAVAILABLE",
    `The secret ${name} should come from the variable ${from.variable}, which is ${value === undefined ? "not set" : "empty"}.`,
    `Set ${from.variable} for the command that starts the sandbox, or write ${name}=file:PATH@HOST.`,
  );
}

const NO_SOURCES: SecretSources = {
  readEnv: () => undefined,
  readFile: () => Promise.reject(new Error("there are no files here")),
  runCommand: () => Promise.reject(new Error("there are no commands here")),
};

/** Nobody waits for it yet: a failure is met where it is used. */
function makeAuthority(names: readonly string[]): Promise<RunAuthority> {
  const made = import("../identity/run-authority.ts").then(({ createRunAuthority }) => createRunAuthority({ names }));
  made.catch(() => undefined);
  return made;
}
