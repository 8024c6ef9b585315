/** Where a container engine may listen, and whether one answers there. */
import { createHash } from "node:crypto";
import { request } from "node:http";
import { createConnection } from "node:net";
import { homedir } from "node:os";
import { join } from "node:path";
import { readText } from "./machine.mjs";

export const DEFAULT_SOCKET = "/var/run/docker.sock";

/** URLs to try, the likeliest first: the docker context that is in use, then the usual sockets of Docker and Podman. */
export function usualEndpoints() {
  const home = homedir();
  const uid = process.getuid?.() ?? 0;
  const runtime = process.env.XDG_RUNTIME_DIR ?? `/run/user/${uid}`;
  const sockets = [
    DEFAULT_SOCKET,
    join(runtime, "docker.sock"),
    join(home, ".docker/run/docker.sock"),
    join(home, ".docker/desktop/docker.sock"),
    join(home, ".orbstack/run/docker.sock"),
    join(home, ".colima/default/docker.sock"),
    join(home, ".rd/docker.sock"),
    join(runtime, "podman/podman.sock"),
    "/run/podman/podman.sock",
  ];
  const context = contextEndpoint(home);
  return [...(context === undefined ? [] : [context]), ...sockets.map((path) => `unix://${path}`)];
}

/** The endpoint of the docker CLI's current context, where it is not the default one. */
function contextEndpoint(home) {
  try {
    const config = process.env.DOCKER_CONFIG ?? join(home, ".docker");
    const name = process.env.DOCKER_CONTEXT ?? JSON.parse(readText(join(config, "config.json"))).currentContext;
    if (name === undefined || name === "" || name === "default") return undefined;
    const id = createHash("sha256").update(name).digest("hex");
    return JSON.parse(readText(join(config, "contexts/meta", id, "meta.json"))).Endpoints.docker.Host;
  } catch {
    return undefined;
  }
}

/** Asks `url` for a sign of life: `"answers"`, `"denied"` (this user may not), or `"silent"`. Never throws. */
export async function ping(url) {
  if (url.startsWith("ssh://")) return "answers";
  if (url.startsWith("unix://")) {
    const { code, status } = await get({ socketPath: url.slice("unix://".length) }, "/_ping");
    if (status === 200) return "answers";
    return code === "EACCES" || code === "EPERM" ? "denied" : "silent";
  }
  const { hostname, port } = new URL(url);
  return (await connects(hostname, Number(port || 2375))) ? "answers" : "silent";
}

/** Reads a JSON answer of the engine at a UNIX socket; `undefined` when it gives none. */
export async function readJson(socketPath, path) {
  const { status, text } = await get({ socketPath }, path);
  return status === 200 ? JSON.parse(text) : undefined;
}

function get(where, path) {
  return new Promise((resolve) => {
    const asked = request({ ...where, path, headers: { Host: "engine" }, timeout: 5_000 }, (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (piece) => (text += piece));
      response.on("end", () => resolve({ status: response.statusCode, text }));
    });
    asked.on("timeout", () => asked.destroy(new Error("timeout")));
    asked.on("error", (error) => resolve({ code: error.code }));
    asked.end();
  });
}

function connects(host, port) {
  return new Promise((resolve) => {
    const socket = createConnection({ host, port, timeout: 5_000 });
    const end = (answer) => () => {
      socket.destroy();
      resolve(answer);
    };
    socket.once("connect", end(true)).once("timeout", end(false)).once("error", end(false));
  });
}
