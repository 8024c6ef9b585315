import { once } from "node:events";
import { copyFile, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { toEngineError } from "../../src/engine/docker/engine-error.ts";
import { findEngine } from "../../src/engine/find-engine.ts";
import { runJson } from "../lab/run-json.ts";
import { type TempDirectory, tempDirectory } from "../lab/temp-directory.ts";
import { makeCertificate, startTlsProxy } from "../lab/tls-proxy.ts";
import { answer } from "./scripted-engine.ts";

/** Milliseconds, less than any that an engine is waited for. */
const NO_TIMEOUT = 3_000;

describe("an engine behind TLS", () => {
  let files: TempDirectory;
  let proxy: Awaited<ReturnType<typeof startTlsProxy>>;
  beforeAll(async () => {
    files = await tempDirectory();
    const [authority, other] = [files.join("authority"), files.join("other")];
    await Promise.all([makeCertificate(authority, { name: "authority" }), makeCertificate(other, { name: "other" })]);
    const here = "subjectAltName=IP:127.0.0.1";
    const elsewhere = "subjectAltName=IP:192.0.2.1";
    await Promise.all([
      makeCertificate(files.join("engine"), { name: "engine", authority, extension: here }),
      makeCertificate(files.join("elsewhere"), { name: "engine", authority, extension: elsewhere }),
      ...["client", "alone", "lonely", "torn"].map((name) => makeCertificate(files.join(name), { name, authority })),
      makeCertificate(files.join("stranger"), { name: "stranger", authority: other }),
    ]);
    await Promise.all(["cert.pem", "key.pem"].map((name) => rm(files.join("alone", name))));
    await rm(files.join("lonely", "key.pem"));
    await copyFile(files.join("client", "key.pem"), files.join("torn", "key.pem"));
    proxy = await startTlsProxy(files, "engine");
  });
  afterAll(async () => {
    await proxy[Symbol.asyncDispose]();
    await files[Symbol.asyncDispose]();
  });

  const tlsOf = (certificates: string) => ({ DOCKER_TLS_VERIFY: "1", DOCKER_CERT_PATH: files.join(certificates) });
  async function failure(host: string, env: Readonly<Record<string, string>>): Promise<unknown> {
    const found = await findEngine({ host, env, home: files.path, uid: 4242 }).catch((error: unknown) => error);
    if (!(found instanceof Error)) throw new Error("It was let in.");
    return found;
  }

  it("runs commands, with their input, where both sides show certificates of one authority", async () => {
    const env = { DOCKER_HOST: proxy.host, ...tlsOf("client") };
    const { result } = await runJson(["-i", "--", "sh", "-c", "cat; echo end"], { env, input: "through\n" });
    expect(result).toMatchObject({
      reason: "completed",
      stdout: { text: "through\nend\n" },
      destroyed: true,
    });
  });

  it.each([
    ["alone", "shows no certificate", "does not accept the certificate of this client"],
    ["lonely", "shows a certificate and has no key", "does not accept the certificate of this client"],
    ["stranger", "trusts another authority", "cannot be trusted"],
    ["none", "has no file at all", "cannot be trusted"],
    ["torn", "has a key of another certificate", "cannot be used"],
  ])(
    "tells a client with the files of %j, which %s, what stands in the way without waiting for a timeout",
    async (certificates, _why, message) => {
      const started = performance.now();
      expect(await failure(proxy.host, tlsOf(certificates))).toMatchObject({
        code: "ENGINE_REFUSED",
        message: expect.stringContaining(message),
        hint: expect.stringContaining("DOCKER_CERT_PATH"),
      });
      expect(performance.now() - started).toBeLessThan(NO_TIMEOUT);
    },
  );

  it("is not believed when its certificate names another machine", async () => {
    await using elsewhere = await startTlsProxy(files, "elsewhere");
    expect(await failure(elsewhere.host, tlsOf("client"))).toMatchObject({
      code: "ENGINE_REFUSED",
      message: expect.stringContaining("made out for another name"),
    });
  });

  it("asks for TLS where it is spoken to without, and for none where it speaks none", async () => {
    const plain = createServer((socket) => {
      socket.on("error", () => undefined);
      socket.once("data", () => socket.end(answer(400, "Client sent an HTTP request to an HTTPS server.\n")));
    }).listen(0, "127.0.0.1");
    await once(plain, "listening");
    const address = plain.address();
    const host = `tcp://127.0.0.1:${typeof address === "object" ? address?.port : ""}`;
    expect(await failure(host, {})).toMatchObject({ code: "ENGINE_REFUSED", hint: expect.stringContaining("DOCKER_TLS_VERIFY=1") });
    expect(await failure(host, tlsOf("client"))).toMatchObject({
      code: "ENGINE_REFUSED",
      hint: expect.stringContaining("Unset DOCKER_TLS_VERIFY"),
    });
    plain.close();
  });

  it.each([
    ["ERR_SSL_SSLV3_ALERT_BAD_CERTIFICATE", "does not accept the certificate of this client"],
    ["ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED", "does not accept the certificate of this client"],
    ["ERR_SSL_TLSV1_ALERT_UNKNOWN_CA", "does not accept the certificate of this client"],
    ["ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION", "cannot agree on TLS"],
    ["ERR_SSL_WRONG_VERSION_NUMBER", "does not speak TLS"],
    ["CERT_HAS_EXPIRED", "is not valid today"],
    ["DEPTH_ZERO_SELF_SIGNED_CERT", "cannot be trusted"],
  ])("says in words what %s means", (code, message) => {
    const error = toEngineError(Object.assign(new Error("tls"), { code }), {
      url: "tcp://box:2376",
      explain: () => "",
      judge: () => undefined,
    });
    expect(error).toMatchObject({ code: "ENGINE_REFUSED", message: expect.stringMatching(`${message} \\(${code}\\)\\.$`) });
  });
});
