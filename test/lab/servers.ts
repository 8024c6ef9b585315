import { type ChildProcessByStdio, execFile, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { chmod, chown, mkdir, readdir, writeFile } from "node:fs/promises";
import type { Readable } from "node:stream";
import { promisify } from "node:util";
import type { Certificate } from "./certificates.ts";
import { programPath } from "./host-programs.ts";
import { freePort } from "./origins.ts";
import { tempDirectory } from "./temp-directory.ts";

/** A server in a process of its own, on the loopback, which keeps nothing; who knows the password may use it. */
export type OwnServer = AsyncDisposable & { readonly port: number; readonly password: string };

/** Neither server may be root. */
const NOBODY = process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : {};

/** A Redis server. Debian has its program in the package of the tools, under a name with which it only checks; the server's own package would start one. */
export async function startRedis(): Promise<OwnServer> {
  const [port, password] = [await freePort(), randomBytes(16).toString("hex")];
  const program = await programPath("redis-server").catch(() => programPath("redis-check-rdb"));
  const settings = [
    "--bind",
    "127.0.0.1",
    "--port",
    `${port}`,
    "--save",
    "",
    "--appendonly",
    "no",
    "--requirepass",
    password,
    "--dir",
    "/",
  ];
  const server = spawn(program, settings, { ...NOBODY, argv0: "redis-server", stdio: ["ignore", "pipe", "pipe"] });
  await says(server, "Ready to accept connections");
  return { port, password, [Symbol.asyncDispose]: () => end(server, "SIGTERM") };
}

/** A PostgreSQL server with the user `postgres`, which also takes TLS. */
export async function startPostgres({ key, cert }: Certificate): Promise<OwnServer> {
  const [port, password] = [await freePort(), randomBytes(16).toString("hex")];
  const directory = await tempDirectory();
  const [data, passwordFile, bin] = [directory.join("data"), directory.join("password"), await postgresPrograms()];
  await chmod(directory.path, 0o755);
  await mkdir(data, { mode: 0o700 });
  for (const [name, text] of Object.entries({ password, "key.pem": key, "cert.pem": cert }))
    await writeFile(directory.join(name), text, { mode: 0o600 });
  for (const path of [data, passwordFile, directory.join("key.pem"), directory.join("cert.pem")]) await giveAway(path);
  const how = ["--username=postgres", "--auth=scram-sha-256", `--pwfile=${passwordFile}`, "--locale=C", "--encoding=UTF8", "--no-sync"];
  await promisify(execFile)(`${bin}initdb`, [...how, "--pgdata", data], { ...NOBODY, cwd: "/" });
  const settings = {
    listen_addresses: "127.0.0.1",
    unix_socket_directories: "",
    fsync: "off",
    ssl: "on",
    ssl_cert_file: directory.join("cert.pem"),
    ssl_key_file: directory.join("key.pem"),
  };
  const flags = Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
  const server = spawn(`${bin}postgres`, ["-D", data, "-p", `${port}`, ...flags], {
    ...NOBODY,
    cwd: "/",
    stdio: ["ignore", "pipe", "pipe"],
  });
  await says(server, "ready to accept connections");
  return {
    port,
    password,
    async [Symbol.asyncDispose]() {
      await end(server, "SIGINT");
      await directory[Symbol.asyncDispose]();
    },
  };
}

/** The path that a program of PostgreSQL has before its name: Debian keeps those of each version in a directory of their own. */
export async function postgresPrograms(): Promise<string> {
  const versions = await readdir("/usr/lib/postgresql").catch(() => []);
  const newest = versions.map(Number).toSorted((one, other) => other - one)[0];
  if (newest !== undefined) return `/usr/lib/postgresql/${newest}/bin/`;
  return (await programPath("initdb")).replace(/initdb$/, "");
}

async function giveAway(path: string): Promise<void> {
  if (NOBODY.uid !== undefined) await chown(path, NOBODY.uid, NOBODY.gid);
}

type Server = ChildProcessByStdio<null, Readable, Readable>;

/** Settles once the server printed `text`; rejects with everything that it printed when it ends without. */
async function says(server: Server, text: string): Promise<void> {
  let said = "";
  await new Promise<void>((resolve, reject) => {
    for (const stream of [server.stdout, server.stderr])
      stream.setEncoding("utf8").on("data", (piece: string) => {
        said += piece;
        if (said.includes(text)) resolve();
      });
    server.once("error", reject).once("close", () => reject(new Error(`The server ended: ${said}`)));
  });
}

async function end(server: Server, signal: NodeJS.Signals): Promise<void> {
  if (server.exitCode !== null || server.signalCode !== null) return;
  const ended = once(server, "exit");
  server.kill(signal);
  await ended;
}
