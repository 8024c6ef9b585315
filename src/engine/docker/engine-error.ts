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
  const judged = place.judge(thrown) ?? toTlsError(thrown, place.url);
  if (judged !== undefined) return judged;
  const code = systemCode(thrown);
  if (code?.startsWith("HPE_") === true) return notAnEngine(place.url, "it does not speak HTTP");
  const { name, message, hint } = withoutConnection(code, place) ?? lost(thrown, place);
  return new SandboxError(name, message, hint, { cause: thrown });
}

type Words = { readonly name: ErrorCode; readonly message: string; readonly hint: string };

/** What is said where no connection came about, by the system's name for the reason. */
function withoutConnection(code: string | undefined, place: Place): Words | undefined {
  const { url } = place;
  switch (code) {
    case "ENOENT":
      return {
        name: "NO_ENGINE",
        message: `There is no engine at ${url}${because(place)}.`,
        hint: "Start Docker or Podman, or name another engine with --host.",
      };
    case "EACCES":
    case "EPERM":
      return {
        name: "ENGINE_DENIED",
        message: `The engine at ${url} may not be used by this user.`,
        hint: "Join the group that owns the socket (often: sudo usermod -aG docker $USER, then log in again), or use a rootless engine.",
      };
    case "ECONNREFUSED":
      return {
        name: "ENGINE_REFUSED",
        message: `Nothing accepts connections at ${url}${because(place)}.`,
        hint: "Start the engine there, or name another one with --host.",
      };
    case "ENOTFOUND":
    case "EAI_AGAIN":
    case "EHOSTUNREACH":
    case "ENETUNREACH":
    case "ETIMEDOUT":
    case "ENOTSOCK":
      return {
        name: "ENGINE_REFUSED",
        message: `The engine at ${url} cannot be reached (${code}${because(place)}).`,
        hint: "Check the address given with --host or DOCKER_HOST.",
      };
    default:
      return undefined;
  }
}

function lost(thrown: unknown, place: Place): Words {
  const said = systemCode(thrown) ?? plain(thrown instanceof Error ? thrown.message : String(thrown));
  return {
    name: "ENGINE_LOST",
    message: `The connection to the engine at ${place.url} broke (${said}${because(place)}).`,
    hint: "Check that the engine still runs, then run again.",
  };
}

/** What the way to the engine says, as the end of a sentence. */
function because(place: Place): string {
  const said = place.explain();
  return said === "" ? "" : `: ${said}`;
}

export function engineTimeout(place: Place, { request, timeout }: { readonly request: string; readonly timeout: number }): SandboxError {
  return new SandboxError(
    "ENGINE_TIMEOUT",
    `The engine at ${place.url} did not answer ${request} within ${timeout / 1000} s${because(place)}.`,
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
