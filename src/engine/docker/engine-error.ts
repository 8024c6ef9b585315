import { type ErrorCode, SandboxError, systemCode } from "../../core/errors.ts";
import { toTlsError } from "./tls-error.ts";

const LONGEST_MESSAGE = 400;

/** What the way to an engine has to say about a failure. */
export type Transport = {
  /** Its own words, such as the last line of `ssh`; empty for sockets. */
  readonly explain: () => string;
  /** Its own error for what was thrown, where it knows better what stood in the way. */
  readonly judge: (thrown: unknown) => SandboxError | undefined;
};

/** What an engine is known by in messages. */
export type Place = Transport & { readonly url: string };

/** Turns what a socket or the HTTP parser reported into an error of the engine group. */
export function toEngineError(thrown: unknown, place: Place): SandboxError {
  if (thrown instanceof SandboxError) return thrown;
  const { url } = place;
  const code = systemCode(thrown);
  const judged = place.judge(thrown) ?? toTlsError(thrown, url);
  if (judged !== undefined) return judged;
  const said = place.explain();
  const because = said === "" ? "" : `: ${said}`;
  const cause = { cause: thrown };
  if (code === "ENOENT")
    return new SandboxError(
      "NO_ENGINE",
      `There is no engine at ${url}${because}.`,
      "Start Docker or Podman, or name another engine with --host.",
      cause,
    );
  if (code === "EACCES" || code === "EPERM") {
    return new SandboxError(
      "ENGINE_DENIED",
      `The engine at ${url} may not be used by this user.`,
      "Join the group that owns the socket (often: sudo usermod -aG docker $USER, then log in again), or use a rootless engine.",
      cause,
    );
  }
  if (code === "ECONNREFUSED")
    return new SandboxError(
      "ENGINE_REFUSED",
      `Nothing accepts connections at ${url}${because}.`,
      "Start the engine there, or name another one with --host.",
      cause,
    );
  if (code?.startsWith("HPE_") === true) return notAnEngine(url, "it does not speak HTTP");
  if (
    code === "ENOTFOUND" ||
    code === "EAI_AGAIN" ||
    code === "EHOSTUNREACH" ||
    code === "ENETUNREACH" ||
    code === "ETIMEDOUT" ||
    code === "ENOTSOCK"
  ) {
    return new SandboxError(
      "ENGINE_REFUSED",
      `The engine at ${url} cannot be reached (${code}${because}).`,
      "Check the address given with --host or DOCKER_HOST.",
      cause,
    );
  }
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  return new SandboxError(
    "ENGINE_LOST",
    `The connection to the engine at ${url} broke (${code ?? plain(message)}${because}).`,
    "Check that the engine still runs, then run again.",
    cause,
  );
}

export function engineTimeout(place: Place, { request, timeout }: { readonly request: string; readonly timeout: number }): SandboxError {
  const said = place.explain();
  return new SandboxError(
    "ENGINE_TIMEOUT",
    `The engine at ${place.url} did not answer ${request} within ${timeout / 1000} s${said === "" ? "" : `: ${said}`}.`,
    "Restart the engine if it hangs, or name another one with --host.",
  );
}

export function notAnEngine(url: string, what: string): SandboxError {
  return new SandboxError(
    "NOT_AN_ENGINE",
    `What listens at ${url} is not a container engine: ${what}.`,
    "Name the socket of Docker or Podman with --host.",
  );
}

/** An error answer of the engine as an error of ours: `doing` completes "The engine could not …". */
export function refused(
  answer: { readonly status: number; readonly body: unknown },
  { code, doing, hint }: { readonly code: ErrorCode; readonly doing: string; readonly hint: string },
): SandboxError {
  return new SandboxError(code, `The engine could not ${doing}: ${messageOf(answer)}.`, hint);
}

/** The engine's own words in an error answer, on one line and without control characters. */
export function messageOf(answer: { readonly status: number; readonly body: unknown }): string {
  const { body } = answer;
  if (typeof body === "object" && body !== null) {
    if ("message" in body && typeof body.message === "string" && body.message !== "") return plain(body.message);
    if ("cause" in body && typeof body.cause === "string") return plain(body.cause);
  }
  return `status ${answer.status}`;
}

/** Text from outside made fit for one sentence: no control or format characters, no line ends, bounded, no closing dot. */
export function plain(text: string): string {
  const line = text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu, " ").trim();
  const short = line.length > LONGEST_MESSAGE ? `${line.slice(0, LONGEST_MESSAGE)}…` : line;
  return short.replace(/[.\s]+$/, "");
}
