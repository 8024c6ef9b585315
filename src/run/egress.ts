import { SandboxError } from "../core/errors.ts";
import { formatSize } from "../core/units.ts";
import type { Gate } from "../egress/gate.ts";
import type { Connection } from "../guest/connection.ts";
import type { Session } from "../guest/session.ts";
import type { RunContext } from "./context.ts";
import type { Egress, EgressPlan } from "./egress-plan.ts";
import { endingOfError } from "./ending.ts";
import type { RunRecord } from "./record.ts";
import { installTrust } from "./trust.ts";

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
    import("../egress/places/resolver.ts"),
    import("../egress/accounts/byte-budget.ts"),
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
