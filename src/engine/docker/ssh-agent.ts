import { Agent, type AgentOptions } from "node:http";
import { Duplex } from "node:stream";
import { execa } from "execa";
import { type Endpoint, endpointUrl } from "../endpoint.ts";
import { plain, type Transport } from "./engine-error.ts";
import { type SshEnd, toSshError } from "./ssh-error.ts";

type SshEndpoint = Extract<Endpoint, { readonly kind: "ssh" }>;

const KEPT_BYTES = 2048;

/**
 * An HTTP agent whose connections are processes: the system's `ssh` runs `docker system dial-stdio` on the other machine, which
 * connects its standard input and output with the engine there. Keys, agents, jump hosts and known hosts are those of `ssh`.
 * `explain` gives the last line that `ssh` wrote to standard error, `judge` the error for a failure that `ssh` explains.
 */
export function createSshAgent(
  endpoint: SshEndpoint,
  env: Readonly<Record<string, string | undefined>>,
): Transport & { readonly agent: Agent } {
  const place = { url: endpointUrl(endpoint), command: commandFor(endpoint) };
  let said = "";
  let failed: SshEnd | undefined;
  const explain = (): string => plain(said.trim().split("\n").at(-1) ?? "");
  const agent = new SshAgent({ keepAlive: true }, () =>
    dial(endpoint, {
      env,
      onStderr: (text) => {
        said = (said + text).slice(-KEPT_BYTES);
      },
      onFailure: (status) => {
        failed = { status, said: explain() };
      },
    }),
  );
  return { agent, explain, judge: (thrown) => toSshError(place, thrown, failed) };
}

/** What a person types to get there. */
function commandFor({ user, port, host }: SshEndpoint): string {
  return ["ssh", ...(port === undefined ? [] : ["-p", String(port)]), user === undefined ? host : `${user}@${host}`].join(" ");
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

type Dialling = {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly onStderr: (text: string) => void;
  /** Told the exit status of an `ssh` that did not end with 0. */
  readonly onFailure: (status: number) => void;
};

/**
 * The connection ends once the process has ended and said why: a broken pipe alone would hide the reason. The process gets a session of
 * its own: the terminal's Ctrl-C is for us, who need the connection to clean up, and without a terminal `ssh` fails instead of asking.
 */
function dial(endpoint: SshEndpoint, { env, onStderr, onFailure }: Dialling): Duplex {
  const child = execa("ssh", sshArguments(endpoint), {
    stdin: "pipe",
    buffer: false,
    env,
    extendEnv: false,
    detached: true,
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
    if (exitCode === undefined && signal === undefined && cause instanceof Error) return void connection.destroy(cause);
    if (exitCode === 0) return void connection.finish();
    if (exitCode !== undefined) onFailure(exitCode);
    connection.destroy(Object.assign(new Error("ssh has failed"), { code: "ECONNRESET" }));
  });
  return connection;
}

/** `node:http` treats a connection as a socket: it asks for these, which mean nothing to a pair of pipes. */
class ProcessSocket extends Duplex {
  #idle = false;
  #over = false;

  /** The process is gone. Nobody reads from an idle connection, whose end would go unnoticed until it has swallowed the next request. */
  finish(): void {
    this.#over = true;
    if (this.#idle) this.destroy();
    else this.push(null);
  }

  setTimeout(): this {
    return this;
  }

  setKeepAlive(): this {
    return this;
  }

  setNoDelay(): this {
    return this;
  }

  /** A request begins. */
  ref(): this {
    this.#idle = false;
    return this;
  }

  /** The agent keeps the connection for later requests. */
  unref(): this {
    this.#idle = true;
    if (this.#over) this.destroy();
    return this;
  }
}
