import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { quantile } from "../scripts/bench-harness.mjs";
import { ORIGIN_NAME, openOrigin } from "./egress/origin.mjs";
import { needPrograms } from "./egress/programs.mjs";
import { clientInSandbox, clientOnBridge, clientOutside } from "./egress/sides.mjs";

const LOOPBACK = "127.0.0.1";
const BULK_BYTES = 500_000_000;
const STREAMS = 64;
const STREAM_BYTES = 8_000_000;
const CONNECTIONS = 100;
const REQUESTS = 500;
const KEPT = 16;
const EACH = 300;

/** Runs `open` with an origin and a directory of its own; what it opened is closed in reverse. */
async function withOrigin(programs, open) {
  await needPrograms(programs);
  const directory = await mkdtemp(join(tmpdir(), "belljar-bench-egress-"));
  const opened = [{ close: () => rm(directory, { recursive: true, force: true }) }];
  const keep = async (thing) => {
    opened.push(await thing);
    return opened.at(-1);
  };
  const close = async () => {
    for (const { close } of opened.reverse()) await close();
  };
  try {
    const origin = await keep(openOrigin(directory));
    return { ...(await open({ directory, origin, keep })), close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** One job on both sides: the sandbox's rule lets it to the origin, the peer asks its proxy for the same. `scheme` is the origin's port. */
function againstProxy({ image }, { scheme, proxy, job, flags = [], way = {} }) {
  return withOrigin(["openssl", "ip", "nsenter", proxy], async ({ directory, origin, keep }) => {
    const port = origin[scheme];
    const allow = ["--allow", `${ORIGIN_NAME}=${LOOPBACK}:${port}`, ...flags];
    const inside = await keep(clientInSandbox(image, { flags: allow, env: { SSL_CERT_FILE: origin.certificate } }));
    const bridge = await keep(clientOnBridge(image, { proxy, directory }));
    const run = (client, place) => async () => quantile(await client.ask({ ...job, ...place, port, ...way }), 0.5);
    return {
      a: { name: "client in a sandbox", run: run(inside, { host: ORIGIN_NAME }) },
      b: { name: `client on a bridge, ${proxy}`, run: run(bridge, { host: LOOPBACK, proxy: bridge.proxy }) },
    };
  });
}

/** How much later the last of a hundred answers comes than on this machine's own loopback. */
function addedLatency({ image }) {
  return withOrigin(["openssl"], async ({ origin, keep }) => {
    const port = origin.http;
    const inside = await keep(clientInSandbox(image, { flags: ["--allow", `${ORIGIN_NAME}=${LOOPBACK}:${port}`] }));
    const outside = await keep(clientOutside());
    const job = { job: "requests", count: REQUESTS, connections: 1, port };
    const run = async () => {
      const [direct, through] = [await outside.ask({ ...job, host: LOOPBACK }), await inside.ask({ ...job, host: ORIGIN_NAME })];
      return quantile(through, 0.99) - quantile(direct, 0.99);
    };
    return { a: { name: "p99 in a sandbox less p99 outside", run } };
  });
}

export const benchmarks = [
  {
    name: "egress-connect-http",
    what: "egress: new connection, first byte of HTTP",
    target: { of: "ratio", atMost: 1.0 },
    open: (bench) => againstProxy(bench, { scheme: "http", proxy: "tinyproxy", job: { job: "firstBytes", count: CONNECTIONS } }),
  },
  {
    name: "egress-connect-tunnel",
    what: "egress: new connection, first byte of another protocol",
    target: { of: "ratio", atMost: 1.0 },
    open: (bench) =>
      againstProxy(bench, {
        scheme: "raw",
        proxy: "tinyproxy",
        job: { job: "firstBytes", count: CONNECTIONS },
        way: { raw: true, tunnel: true },
      }),
  },
  {
    name: "egress-bulk",
    what: `egress: download of ${BULK_BYTES / 1e6} MB`,
    unit: "MB/s",
    pairs: 7,
    target: { of: "ratio", atLeast: 0.7 },
    open: (bench) =>
      againstProxy(bench, {
        scheme: "raw",
        proxy: "tinyproxy",
        job: { job: "download", streams: 1, bytes: BULK_BYTES },
        way: { tunnel: true },
      }),
  },
  {
    name: "egress-streams",
    what: `egress: ${STREAMS} downloads of ${STREAM_BYTES / 1e6} MB at once`,
    unit: "MB/s",
    pairs: 7,
    target: { of: "ratio", atLeast: 0.8 },
    open: (bench) =>
      againstProxy(bench, {
        scheme: "raw",
        proxy: "tinyproxy",
        job: { job: "download", streams: STREAMS, bytes: STREAM_BYTES },
        way: { tunnel: true },
      }),
  },
  {
    name: "egress-intercepted",
    what: "egress: intercepted HTTPS requests, kept alive",
    unit: "1/s",
    pairs: 10,
    target: { of: "ratio", atLeast: 5 },
    open: (bench) =>
      againstProxy(bench, {
        scheme: "https",
        proxy: "mitmproxy",
        job: { job: "rate", count: EACH, connections: KEPT },
        flags: ["--rate", "999999/s"],
        way: { tls: ORIGIN_NAME, tunnel: true },
      }),
  },
  {
    name: "egress-latency",
    what: "egress: added to the p99 of 1 KiB over a kept connection",
    pairs: 20,
    target: { of: "median", atMost: 3 },
    open: addedLatency,
  },
];
