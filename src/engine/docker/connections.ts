import { Agent } from "node:http";
import { inspect } from "node:util";
import type { DockerOptions } from "dockerode";
import type { Endpoint } from "../endpoint.ts";
import type { Transport } from "./engine-error.ts";

/** How requests travel to one endpoint. Idle connections are kept for the next request until `close`. */
export type Connections = Transport & { readonly options: DockerOptions; readonly close: () => void };

/** Without TLS nobody asks for a server name, and Node.js need not find out (in milliseconds) whether the host's name is an address. */
const PLAIN = { keepAlive: true, servername: "" };

/** Prepares the way to `endpoint`; no connection is made before the first request. `env` is the environment of an `ssh` process. */
export async function openConnections(endpoint: Endpoint, env: Readonly<Record<string, string | undefined>>): Promise<Connections> {
  switch (endpoint.kind) {
    case "unix":
      return through(new Agent(PLAIN), { socketPath: endpoint.path });
    case "tcp": {
      const { host, port, tls } = endpoint;
      if (tls === undefined) return through(new Agent(PLAIN), { host, port });
      const https = await import("node:https");
      const agent = new https.Agent({ keepAlive: true, ca: tls.ca, cert: tls.cert, key: tls.key, rejectUnauthorized: tls.verify });
      return through(agent, { host, port, protocol: "https" });
    }
    case "ssh": {
      const { createSshAgent } = await import("./ssh-agent.ts");
      const { agent, explain, judge } = createSshAgent(endpoint, env);
      return { ...through(agent, { host: endpoint.host }), explain, judge };
    }
  }
}

/** Everything is said, since dockerode fills what is missing from the environment. */
function through(agent: Agent, where: DockerOptions): Connections {
  const unsaid = {
    socketPath: undefined,
    host: undefined,
    port: undefined,
    ca: undefined,
    cert: undefined,
    key: undefined,
    timeout: undefined,
  };
  return {
    options: { ...unsaid, protocol: "http", pathPrefix: "/", ...where, agent: quiet(agent) } as DockerOptions,
    explain: () => "",
    judge: () => undefined,
    close: () => agent.destroy(),
  };
}

/** dockerode describes every request for its debug log, needed or not; an agent with all its sockets takes milliseconds to describe. */
function quiet(agent: Agent): Agent {
  return Object.assign(agent, { [inspect.custom]: () => "Agent" });
}
