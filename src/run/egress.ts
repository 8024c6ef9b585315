import { SandboxError } from "../core/errors.ts";
import { formatSize } from "../core/units.ts";
import type { Gate } from "../egress/gate.ts";
import type { LearnedRule, Learner } from "../egress/learner.ts";
import type { EgressRow } from "../egress/ledger.ts";
import type { Rule } from "../egress/rule.ts";
import type { Secrets } from "../egress/secret.ts";
import type { SecretSources } from "../egress/secret-values.ts";
import type { Connection } from "../guest/connection.ts";
import type { Session } from "../guest/session.ts";
import type { RunAuthority } from "../identity/run-authority.ts";
import type { SecretRequest } from "../policy/egress-spec.ts";
import type { Task } from "../policy/task.ts";
import type { RunContext } from "./context.ts";
import { endingOfError } from "./ending.ts";
import type { RunRecord } from "./record.ts";
import { installTrust } from "./trust.ts";

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

/** Compiles the task's rules; nothing is loaded for a task without any. The authority is made while the engine works. Throws `BAD_RULE`, `BAD_RATE` and `BAD_SECRET`. */
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
  const { planSecrets } = await import("../egress/secret-plan.ts");
  return planSecrets(requests, rules, sources ?? NO_SOURCES);
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

type Live = { readonly session: Session; readonly context: RunContext };

const RESOLVER = { address: "127.0.0.1", port: 53 };

/**
 * Opens the sandbox's loopback for names and connections. Without rules that is for the refusals alone: a name that is asked for is refused at once, and
 * told of; what is needed for that is loaded when the first one is.
 */
export async function openEgress(record: RunRecord, plan: EgressPlan, live: Live): Promise<Egress> {
  const { network } = live.session;
  const env = plan.authority === undefined ? {} : await installTrust(record, plan.authority, live.session);
  let opened: Promise<Gate> | undefined;
  let gate: Gate | undefined;
  let closed = false;

  async function open(): Promise<Gate> {
    gate = await makeGate(record, plan, live);
    if (closed) gate.close();
    return gate;
  }

  const ready = (): Promise<Gate> => (opened ??= open());
  network.serve({
    onDatagram: async (message) => (await ready()).onDatagram(message),
    onConnection: (connection: Connection) => {
      connection.on("error", () => undefined);
      if (gate === undefined) void ready().then((made) => made.onConnection(connection));
      else gate.onConnection(connection);
    },
  });
  for (const protocol of ["udp", "tcp"] as const)
    network.listen({ protocol, ...RESOLVER }).then(
      (failure) => (failure === undefined ? undefined : record.ending.settle(endingOfError(namesFailure(failure)))),
      () => undefined,
    );
  return {
    env: { ...env, ...plan.secrets?.placeholders },
    rows: () => gate?.rows() ?? [],
    bytesOut: () => gate?.bytesOut() ?? 0,
    learned: () => plan.learner?.rules() ?? [],
    close: () => {
      closed = true;
      gate?.close();
    },
  };
}

async function makeGate(record: RunRecord, { rules, secrets, learner, authority }: EgressPlan, live: Live): Promise<Gate> {
  const [{ createGate }, { createResolver }, { createByteBudget }] = await Promise.all([
    import("../egress/gate.ts"),
    import("../egress/resolver.ts"),
    import("../egress/byte-budget.ts"),
  ]);
  const { task, ending, emit } = record;
  const limit = task.egress.maxBytes;
  return createGate({
    rules,
    secrets,
    learner,
    ownNames: [task.hostname],
    listen: (place) => live.session.network.listen(place),
    resolve: createResolver(),
    authority: () => authority ?? Promise.reject(new SandboxError("INTERNAL", "There is nothing to look into.", "Report this as a bug.")),
    roots: live.context.roots ?? (() => Promise.resolve(undefined)),
    total: createByteBudget(limit),
    onEvent: emit,
    onLimit: () => {
      ending.settle({
        reason: "egress-limit",
        detail: `The command sent more than ${formatSize(limit ?? 0)}; --max-egress raises the limit.`,
      });
    },
  });
}

function namesFailure(errno: string): SandboxError {
  return new SandboxError(
    "START_FAILED",
    `The guest can't answer names inside the sandbox: ${errno} at 127.0.0.1:53.`,
    "Run `sandbox doctor`: this engine may not let ports below 1024 be bound.",
  );
}
