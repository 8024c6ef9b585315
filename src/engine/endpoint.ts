import { SandboxError } from "../core/errors.ts";

/** Where an engine listens, and how to get there. */
export type Endpoint =
  | { readonly kind: "unix"; readonly path: string }
  | { readonly kind: "tcp"; readonly host: string; readonly port: number; readonly tls: TlsFiles | undefined }
  | {
      readonly kind: "ssh";
      readonly host: string;
      readonly user: string | undefined;
      readonly port: number | undefined;
      readonly socket: string | undefined;
    };

/** PEM texts of a TLS client as the docker CLI keeps them; `verify` is off only where the user switched it off. */
export type TlsFiles = {
  readonly ca: string | undefined;
  readonly cert: string | undefined;
  readonly key: string | undefined;
  readonly verify: boolean;
};

const DEFAULT_PORT = 2375;
const DEFAULT_TLS_PORT = 2376;

/** Parses an engine URL (`unix://`, `tcp://`, `http://`, `https://`, `ssh://`). `tls` holds for `tcp://`. Throws `BAD_HOST`. */
export function parseEndpoint(text: string, tls: TlsFiles | undefined): Endpoint {
  if (text.startsWith("unix://")) return parseUnix(text);
  const url = parseUrl(text);
  switch (url.protocol) {
    case "tcp:":
    case "http:":
      return tcpEndpoint(url, tls);
    case "https:":
      return tcpEndpoint(url, tls ?? { ca: undefined, cert: undefined, key: undefined, verify: true });
    case "ssh:":
      return sshEndpoint(url, text);
    default:
      throw badHost(text);
  }
}

/** The endpoint as a URL, without credentials. */
export function endpointUrl(endpoint: Endpoint): string {
  switch (endpoint.kind) {
    case "unix":
      return `unix://${endpoint.path}`;
    case "tcp":
      return `tcp://${endpoint.host}:${endpoint.port}`;
    case "ssh": {
      const user = endpoint.user === undefined ? "" : `${endpoint.user}@`;
      const port = endpoint.port === undefined ? "" : `:${endpoint.port}`;
      return `ssh://${user}${endpoint.host}${port}${endpoint.socket ?? ""}`;
    }
  }
}

function parseUnix(text: string): Endpoint {
  const path = text.slice("unix://".length);
  if (!path.startsWith("/") || path.includes("\0")) throw badHost(text);
  return { kind: "unix", path };
}

function parseUrl(text: string): URL {
  if (!URL.canParse(text)) throw badHost(text);
  const url = new URL(text);
  if (url.hostname === "" || url.search !== "" || url.hash !== "") throw badHost(text);
  return url;
}

function tcpEndpoint(url: URL, tls: TlsFiles | undefined): Endpoint {
  const port = url.port === "" ? (tls === undefined ? DEFAULT_PORT : DEFAULT_TLS_PORT) : Number(url.port);
  return { kind: "tcp", host: url.hostname.replace(/^\[|\]$/g, ""), port, tls };
}

/** Host and user become arguments of `ssh`: one that begins with a dash would be read as an option. */
function sshEndpoint(url: URL, text: string): Endpoint {
  const host = url.hostname.replace(/^\[|\]$/g, "");
  const user = url.username === "" ? undefined : url.username;
  if (url.password !== "" || !/^[\w:][\w.:-]*$/.test(host) || (user !== undefined && !/^\w[\w.-]*$/.test(user))) throw badHost(text);
  const socket = url.pathname === "" || url.pathname === "/" ? undefined : url.pathname;
  if (socket !== undefined && !/^[\w./-]+$/.test(socket)) throw badHost(text);
  return { kind: "ssh", host, user, port: url.port === "" ? undefined : Number(url.port), socket };
}

function badHost(text: string): SandboxError {
  return new SandboxError(
    "BAD_HOST",
    `The engine address ${JSON.stringify(text)} cannot be used.`,
    "Write unix:///path/to.sock, tcp://host:port or ssh://user@host (keep passwords out of it).",
  );
}

/** Whether a value that came from another process of ours is an endpoint. */
export function isEndpoint(value: unknown): value is Endpoint {
  if (typeof value !== "object" || value === null || !("kind" in value)) return false;
  switch (value.kind) {
    case "unix":
      return "path" in value && typeof value.path === "string";
    case "tcp":
      return "host" in value && typeof value.host === "string" && "port" in value && typeof value.port === "number";
    case "ssh":
      return "host" in value && typeof value.host === "string";
    default:
      return false;
  }
}
