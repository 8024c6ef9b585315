import { Agent, type AgentOptions } from "node:http";
import { Duplex } from "node:stream";
import { execa } from "execa";
import type { Endpoint } from "../endpoint.ts";
import { plain } from "./engine-error.ts";

type SshEndpoint = Extract<Endpoint, { readonly kind: "ssh" }>;

const KEPT_BYTES = 2048;

/**
 * An HTTP agent whose connections are processes: the system's `ssh` runs `docker system dial-stdio` on the other machine, which
 * connects its standard input and output with the engine there. Keys, agents, jump hosts and known hosts are those of `ssh`.
 * `explain` gives the last line that `ssh` wrote to standard error.
 */
export function createSshAgent(
  endpoint: SshEndpoint,
  env: Readonly<Record<string, string | undefined>>,
): { readonly agent: Agent; readonly explain: () => string } {
  let said = "";
  const agent = new SshAgent({ keepAlive: true }, () =>
    dial(endpoint, {
      env,
      onStderr: (text) => {
        said = (said + text).slice(-KEPT_BYTES);
      },
    }),
  );
  return { agent, explain: () => plain(said.trim().split("\n").at(-1) ?? "") };
}

/** The arguments of `ssh` for one connection. */
function sshArguments(endpoint: SshEndpoint): readonly string[] {
  const user = endpoint.user === undefined ? [] : ["-l", endpoint.user];
  const port = endpoint.port === undefined ? [] : ["-p", String(endpoint.port)];
  const socket = endpoint.socket === undefined ? [] : ["--host", `unix://${endpoint.socket}`];
  return ["-T", "-o", "ConnectTimeout=30", ...user, ...port, "--", endpoint.host, "docker", ...socket, "system", "dial-stdio"];
}

class SshAgent extends Agent {
  readonly #dial: () => Duplex;

  constructor(options: AgentOptions, dialer: () => Duplex) {
    super(options);
    this.#dial = dialer;
  }

  override createConnection(): Duplex {
    return this.#dial();
  }
}

/** The connection ends once the process has ended and said why: a broken pipe alone would hide the reason. */
function dial(
  endpoint: SshEndpoint,
  { env, onStderr }: { readonly env: Readonly<Record<string, string | undefined>>; readonly onStderr: (text: string) => void },
): Duplex {
  const child = execa("ssh", sshArguments(endpoint), {
    stdin: "pipe",
    buffer: false,
    env,
    extendEnv: false,
    cleanup: false,
    reject: false,
  });
  child.stderr.setEncoding("utf8").on("data", onStderr);
  const connection = new ProcessSocket({
    read: () => void child.stdout.resume(),
    write: (chunk: Buffer, _encoding, done) => void child.stdin.write(chunk, () => done()),
    final: (done) => void child.stdin.end(() => done()),
    destroy: (error, done) => {
      // What `ssh` has started may live on with the other ends.
      for (const pipe of [child.stdin, child.stdout, child.stderr]) pipe.destroy();
      child.kill("SIGTERM");
      done(error);
    },
  });
  child.stdout.pause();
  child.stdout.on("data", (chunk: Buffer) => {
    if (!connection.push(chunk)) child.stdout.pause();
  });
  void child.then(({ exitCode, signal, cause }) => {
    if (exitCode === undefined && signal === undefined && cause instanceof Error) connection.destroy(cause);
    else connection.push(null);
  });
  return connection;
}

/** `node:http` treats a connection as a socket: it asks for these, which mean nothing to a pair of pipes. */
class ProcessSocket extends Duplex {
  setTimeout(): this {
    return this;
  }

  setKeepAlive(): this {
    return this;
  }

  setNoDelay(): this {
    return this;
  }

  ref(): this {
    return this;
  }

  unref(): this {
    return this;
  }
}
