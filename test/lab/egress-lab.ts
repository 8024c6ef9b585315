import { type ChildProcessWithoutNullStreams, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createInterface } from "node:readline";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import type { RunEvent } from "../../src/run/events.ts";
import type { RunResult } from "../../src/run/result.ts";
import { type CliOptions, type CliResult, type RunningCli, startCli } from "./cli.ts";
import { TEST_IMAGES } from "./images.ts";
import { tempDirectory } from "./temp-directory.ts";

/** Addresses of the lab, none of which this machine's own network has. */
export const PLACES = {
  public: "93.184.216.34",
  public6: "2606:2800:220:1::1",
  other: "93.184.216.99",
  private: "10.1.2.3",
  private172: "172.16.5.4",
  private192: "192.168.7.7",
  metadata: "169.254.169.254",
  alibaba: "100.100.100.200",
  shared: "100.64.0.9",
  linkLocal: "169.254.10.10",
  uniqueLocal: "fd00::5",
  metadata6: "fd00:ec2::254",
  benchmarking: "198.18.0.5",
  documentation: "203.0.113.5",
  nat64: "64:ff9b::5db8:d822",
  sixToFour: "2002:5db8:d822::1",
  reserved: "240.0.0.5",
} as const;

/** Something that arrived in the lab's world. */
export type Arrival = {
  readonly kind: "query" | "connection" | "request" | "tls" | "datagram";
  /** The address that it came to. */
  readonly to: string;
  readonly port?: number;
  readonly name?: string;
  readonly type?: number;
  readonly method?: string;
  readonly target?: string;
  readonly headers?: readonly string[];
  readonly host?: string | null;
  readonly serverName?: string | null;
};

/** What each name resolves to: one list of addresses for each time it is asked for, the last one for ever. */
export type Table = Readonly<Record<string, readonly (readonly string[])[]>>;

export type LabRun = CliResult & {
  readonly result: RunResult;
  readonly events: readonly RunEvent[];
  /** What the command printed, parsed. */
  readonly said: unknown;
  /** Everything that arrived in the world since its names were set. */
  readonly arrivals: readonly Arrival[];
};

export type EgressLab = AsyncDisposable & {
  /** PEM certificate of the origins. */
  readonly certificate: string;
  /** Sets the names, and forgets what arrived. */
  setNames(names: Table): Promise<void>;
  arrivals(): Promise<readonly Arrival[]>;
  /** `sandbox` with these arguments, in the network of the lab. */
  start(args: readonly string[], options?: CliOptions): RunningCli;
  /** A Python program in a sandbox with these flags of `sandbox run`, to its end. What it prints is JSON. */
  inside(program: string, flags?: readonly string[], options?: CliOptions): Promise<LabRun>;
  /** The same program in the same network without a sandbox: what it can reach there. */
  outside(program: string): Promise<{ readonly said: unknown; readonly arrivals: readonly Arrival[] }>;
};

const WORLD = fileURLToPath(new URL("programs/egress-world.mjs", import.meta.url));
const run = promisify(execFile);

/** Opens a network of the tests' own, with origins and name servers in it. */
export async function openEgressLab(): Promise<EgressLab> {
  const directory = await tempDirectory();
  const files = ["-keyout", directory.join("key.pem"), "-out", directory.join("cert.pem")];
  const certificate = ["-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", ...files];
  const names = "subjectAltName=DNS:origin.test,DNS:other.test,DNS:*.origin.test";
  await run("openssl", ["req", ...certificate, "-subj", "/CN=origin.test", "-addext", names]);
  const settings = JSON.stringify({ addresses: Object.values(PLACES), directory: directory.path });
  const world = spawn("unshare", ["--net", "--mount", "--propagation", "private", "--", process.execPath, WORLD, settings]);
  const ask = await conversation(world);
  const within = ["nsenter", `--target=${world.pid ?? 0}`, "--net", "--mount", "--"];
  const arrivals = async (): Promise<readonly Arrival[]> => (await ask(["arrivals"])) as readonly Arrival[];
  const start = (args: readonly string[], options: CliOptions = {}): RunningCli => startCli(args, { ...options, within });

  return {
    certificate: await readFile(directory.join("cert.pem"), "utf8"),
    setNames: async (table) => void (await ask(["names", table])),
    arrivals,
    start,
    async inside(program, flags = [], options = {}) {
      const image = flags.includes("--image") ? [] : ["--image", TEST_IMAGES.debian];
      const cli = start(["run", "--events", ...image, ...flags, "--", "python3", "-c", program], options);
      cli.child.stdin.end(options.input ?? "");
      const done = await cli.done;
      const events = eventsOf(done.stdout);
      const result = resultOf(events);
      return {
        ...done,
        events,
        result,
        said: parse(result.stdout.text ?? "", result.stderr.text ?? result.detail),
        arrivals: await arrivals(),
      };
    },
    async outside(program) {
      const [enter = "", ...rest] = within;
      const { stdout, stderr } = await run(enter, [...rest, "python3", "-c", program], { timeout: 60_000 });
      return { said: parse(stdout, stderr), arrivals: await arrivals() };
    },
    async [Symbol.asyncDispose]() {
      const ended = once(world, "exit");
      world.stdin.end();
      await ended;
      await directory[Symbol.asyncDispose]();
    },
  };
}

/** Asks the world one thing after the other; resolves once it stands. */
async function conversation(world: ChildProcessWithoutNullStreams): Promise<(command: readonly unknown[]) => Promise<unknown>> {
  const said = text(world.stderr);
  const lines = createInterface({ input: world.stdout })[Symbol.asyncIterator]();
  async function answer(): Promise<unknown> {
    const { done, value } = await lines.next();
    if (done === true) throw new Error(`The world of the lab ended: ${await said}`);
    return JSON.parse(value) as unknown;
  }
  await answer();
  return (command) => {
    world.stdin.write(`${JSON.stringify(command)}\n`);
    return answer();
  };
}

/** The lines of `--events`. */
export function eventsOf(stdout: string): readonly RunEvent[] {
  return stdout
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as RunEvent);
}

/** What the last event holds. */
export function resultOf(events: readonly RunEvent[]): RunResult {
  const last = events.at(-1);
  if (last?.type !== "run.sealed") throw new Error(`The run was not sealed: ${JSON.stringify(last)}`);
  return last.result;
}

/** Each reason of a refusal that was told as an event, once. */
export function reasonsOf(events: readonly RunEvent[]): readonly string[] {
  return [...new Set(events.flatMap((event) => (event.type === "egress.denied" ? [`${event.host}: ${event.why}`] : [])))].toSorted();
}

function parse(said: string, instead: string): unknown {
  try {
    return JSON.parse(said) as unknown;
  } catch {
    throw new Error(`The program did not print JSON: ${said.slice(0, 2_000)}\n${instead.slice(0, 4_000)}`);
  }
}

/** The rows of a result that tell of refusals, as `host:port why`. */
export function denialsOf({ egress }: RunResult): readonly string[] {
  return egress
    .filter(({ decision }) => decision === "denied")
    .map(({ host, port, why }) => `${host}:${port ?? "-"} ${why ?? ""}`)
    .toSorted();
}
