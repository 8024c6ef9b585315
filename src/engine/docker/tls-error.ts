import { SandboxError, systemCode } from "../../core/errors.ts";
import { optionalStringAt } from "./json.ts";

const PLACE = "DOCKER_CERT_PATH or of the docker context";

/** What went wrong, by OpenSSL's and Node.js's names for it; the first that fits is said. The sentence goes on with the engine's URL. */
const FAULTS: readonly { readonly names: RegExp; readonly says: (url: string) => string; readonly hint: string }[] = [
  {
    names: /wrong[_ ]version[_ ]number|packet[_ ]length[_ ]too[_ ]long|http[_ ]request/i,
    says: (url) => `What listens at ${url} does not speak TLS`,
    hint: "Unset DOCKER_TLS_VERIFY and DOCKER_TLS, or name the port on which the engine speaks TLS.",
  },
  {
    names: /^ERR_TLS_CERT_ALTNAME_INVALID/,
    says: (url) => `The certificate of the engine at ${url} is made out for another name`,
    hint: "Name the engine as its certificate does, or give it a certificate for this name.",
  },
  {
    names: /^CERT_(HAS_EXPIRED|NOT_YET_VALID)/,
    says: (url) => `The certificate of the engine at ${url} is not valid today`,
    hint: "Renew it, or set the clock of this machine.",
  },
  {
    names: /^(CERT_|CRL_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO|INVALID_CA|HOSTNAME_MISMATCH)/,
    says: (url) => `The certificate of the engine at ${url} cannot be trusted`,
    hint: `Put the certificate of the authority that signed it into ca.pem of ${PLACE}.`,
  },
  {
    names: /alert[_ ].*(certificate|unknown[_ ]ca|access[_ ]denied)/i,
    says: (url) => `The engine at ${url} does not accept the certificate of this client`,
    hint: `Put one that the engine's authority signed into cert.pem, and its key into key.pem, of ${PLACE}.`,
  },
  {
    names: /^ERR_OSSL/,
    says: (url) => `The certificate or key for the engine at ${url} cannot be used`,
    hint: `Check that cert.pem and key.pem of ${PLACE} belong together and need no passphrase.`,
  },
  {
    names: /^(ERR_(SSL|TLS)|EPROTO)/,
    says: (url) => `The engine at ${url} and this client cannot agree on TLS`,
    hint: `Check ca.pem, cert.pem and key.pem of ${PLACE}.`,
  },
];

/** The error for a TLS connection that could not be made, or `undefined` when `thrown` is about something else. */
export function toTlsError(thrown: unknown, url: string): SandboxError | undefined {
  const code = systemCode(thrown);
  if (
    code === undefined ||
    !/^(ERR_(SSL|TLS|OSSL)|CERT_|CRL_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO|INVALID_CA|HOSTNAME_MISMATCH|EPROTO)/.test(code)
  )
    return undefined;
  // A failed write has EPROTO for a code, and OpenSSL's reason in its message.
  const name = code === "EPROTO" && thrown instanceof Error ? `${code} ${thrown.message}` : code;
  const fault = FAULTS.find(({ names }) => names.test(name));
  return fault && new SandboxError("ENGINE_REFUSED", `${fault.says(url)} (${code}).`, fault.hint, { cause: thrown });
}

/** The error for an engine that answers a plain request by asking for TLS, as Go's server does, or `undefined` for any other answer. */
export function needsTls(url: string, { status, body }: { readonly status: number; readonly body: unknown }): SandboxError | undefined {
  if (status !== 400 || !/\bHTTPS (server|port)\b/i.test(optionalStringAt(body, "message") ?? "")) return undefined;
  return new SandboxError(
    "ENGINE_REFUSED",
    `The engine at ${url} wants TLS, and was asked without.`,
    "Set DOCKER_TLS_VERIFY=1, and DOCKER_CERT_PATH to the directory of ca.pem, cert.pem and key.pem.",
  );
}
