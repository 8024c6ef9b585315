import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Certificate, makeCertificate } from "../lab/certificates.ts";
import { expectNameDenied } from "../lab/egress-programs.ts";
import { type HostProgram, hostProgram, programPath } from "../lab/host-programs.ts";
import { TEST_IMAGES } from "../lab/images.ts";
import { originAt, startTcpOrigin } from "../lab/origins.ts";
import { type JsonRun, runJson } from "../lab/run-json.ts";
import { type OwnServer, postgresPrograms, startPostgres, startRedis } from "../lab/servers.ts";

const BASE = ["--image", TEST_IMAGES.debian];

const outcome = ({ status, result }: JsonRun) => ({ status, text: result.stdout.text, said: result.stderr.text });

describe("psql", () => {
  const NAME = "db.example.com";
  let server: OwnServer;
  let psql: HostProgram;

  beforeAll(async () => {
    const certificate: Certificate = await makeCertificate([NAME]);
    server = await startPostgres(certificate);
    psql = await hostProgram(`${await postgresPrograms()}psql`);
  });
  afterAll(async () => {
    await server[Symbol.asyncDispose]();
    await psql[Symbol.asyncDispose]();
  });

  /** `allowed`: with the rule. */
  async function query(
    sql: string,
    { tls, allowed }: { readonly tls: "disable" | "require"; readonly allowed: boolean },
  ): Promise<JsonRun> {
    const { rule, port } = originAt(NAME, "postgresql", server.port);
    const secret = ["-e", `PGPASSWORD=${server.password}`];
    const place = `host=${NAME} port=${port} user=postgres dbname=postgres sslmode=${tls}`;
    return runJson([
      ...BASE,
      ...psql.flags,
      ...secret,
      ...(allowed ? ["--allow", rule] : []),
      "--",
      ...psql.command,
      "-XAt",
      "-c",
      sql,
      place,
    ]);
  }

  it.each([
    ["disable", "f"],
    ["require", "t"],
  ] as const)("asks a real server, with the TLS that begins in the middle of its protocol set to %s", async (tls, secured) => {
    const done = await query("select 6 * 7, ssl from pg_stat_ssl where pid = pg_backend_pid()", { tls, allowed: true });
    expect(outcome(done)).toEqual({ status: 0, text: `42|${secured}\n`, said: "" });
    const { rule, port } = originAt(NAME, "postgresql", server.port);
    expect(done.result.egress).toMatchObject([{ host: NAME, port, rule, decision: "allowed", requests: 0 }]);
    // The server leaves without reading the alert that ends TLS. Should that reset overtake the client's own end, it is told as one.
    expect(["", ...(tls === "require" ? ["it broke a connection off"] : [])]).toContain(done.result.egress[0]?.why ?? "");
  });

  it("brings in megabytes whole", async () => {
    const done = await query("select string_agg(md5(n::text), '') from generate_series(1, 60000) n", { tls: "disable", allowed: true });
    expect(done.result.stdout.bytes).toBe(60_000 * 32 + 1);
    expect(done.result.egress[0]?.bytesIn).toBeGreaterThan(60_000 * 32);
  });

  it("says at once that the name does not exist", async () => {
    const done = await query("select 1", { tls: "disable", allowed: false });
    const said = `psql: error: could not translate host name "${NAME}" to address: Name or service not known\n`;
    expect(outcome(done)).toEqual({ status: 2, text: "", said });
    expectNameDenied(done, NAME);
  });
});

describe("redis-cli", () => {
  const NAME = "cache.example.com";
  let server: OwnServer;
  let redis: HostProgram;

  beforeAll(async () => {
    server = await startRedis();
    redis = await hostProgram(await programPath("redis-cli"));
  });
  afterAll(async () => {
    await server[Symbol.asyncDispose]();
    await redis[Symbol.asyncDispose]();
  });

  const command = (flags: readonly string[], ...words: readonly string[]) => {
    const secret = ["-e", `REDISCLI_AUTH=${server.password}`];
    const place = ["-h", NAME, "-p", `${server.port}`];
    return runJson([...BASE, ...redis.flags, ...secret, ...flags, "--", ...redis.command, ...place, ...words], {
      input: "incr count\nincr count\n",
    });
  };

  it("speaks to a real server", async () => {
    const { rule, port } = originAt(NAME, "redis", server.port);
    const done = await command(["--allow", rule]);
    expect(outcome(done)).toEqual({ status: 0, text: "1\n2\n", said: "" });
    expect(done.result.egress).toMatchObject([{ host: NAME, port, rule, decision: "allowed", why: null, requests: 0 }]);
  });

  it("says at once that the name does not exist", async () => {
    const done = await command([], "get", "count");
    const said = `Could not connect to Redis at ${NAME}:${server.port}: Name or service not known\n`;
    expect(outcome(done)).toEqual({ status: 1, text: "", said });
    expectNameDenied(done, NAME);
  });
});

describe("smtplib of Python", () => {
  const NAME = "mail.example.com";

  it("hears the server first, as its protocol wants it", async () => {
    await using origin = await startTcpOrigin(NAME, (socket) => {
      socket.write("220 mail.example.com\r\n");
      socket.setEncoding("utf8").on("data", (line: string) => void socket.write(line.startsWith("quit") ? "221 bye\r\n" : "250 fine\r\n"));
      socket.on("end", () => socket.end());
    });
    const script = "import smtplib, sys; s = smtplib.SMTP(sys.argv[1], int(sys.argv[2])); print(s.noop()); print(s.quit())";
    const done = await runJson([...BASE, "--allow", origin.rule, "--", "python3", "-c", script, NAME, `${origin.port}`]);
    expect(outcome(done)).toEqual({ status: 0, text: "(250, b'fine')\n(221, b'bye')\n", said: "" });
    expect(done.result.egress).toMatchObject([{ host: NAME, port: origin.port, rule: origin.rule, decision: "allowed", requests: 0 }]);
  });
});

describe("the name of an address", () => {
  it("does not exist; asking for that of the sandbox's own is no attempt to reach anything, asking for another is", async () => {
    const script = "import socket; print(socket.getfqdn('127.0.0.1'), socket.getfqdn('127.64.0.1'), socket.getfqdn('192.0.2.7'))";
    const done = await runJson([...BASE, "--", "python3", "-c", script]);
    expect(outcome(done)).toEqual({ status: 0, text: "127.0.0.1 127.64.0.1 192.0.2.7\n", said: "" });
    expectNameDenied(done, "7.2.0.192.in-addr.arpa");
  });
});
