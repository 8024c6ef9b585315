import { SandboxError } from "../../core/errors.ts";
import type { ContainerSpec } from "../port.ts";
import type { Answer } from "./client.ts";
import { messageOf, refused } from "./engine-error.ts";

const ASK_THE_DOCTOR = "Run `sandbox doctor` to see what this engine cannot do.";

/** Why the engine would not make the container of `spec`. */
export function cannotCreate(answer: Answer, { image, posture }: ContainerSpec): SandboxError {
  const message = messageOf(answer);
  if (answer.status === 404 || /no such image/i.test(message))
    return new SandboxError("NO_IMAGE", `The engine has no image ${image.ref}.`, `Pull it first: docker pull ${image.ref}.`);
  if (posture.runtime !== undefined && /runtime/i.test(message)) return runtimeMissing(posture.runtime, message);
  const most = /range of CPUs is from .* to (\d+(?:\.\d+)?)/i.exec(message)?.[1];
  if (most !== undefined) return tooManyCpus(posture.cpus, Number(most));
  return refused(answer, { code: "CREATE_FAILED", doing: "make the container", hint: ASK_THE_DOCTOR });
}

/** Only the engine knows its machine, which may be another one than ours. */
function tooManyCpus(wanted: number, most: number): SandboxError {
  return new SandboxError(
    "BAD_QUOTA",
    `--cpus is "${wanted}", more than the ${most} that the engine's machine has.`,
    `Write ${most} or less, such as --cpus ${most}.`,
  );
}

/** Why the engine would not start the container of `spec`. */
export function cannotStart(answer: Answer, { posture }: ContainerSpec): SandboxError {
  const message = messageOf(answer);
  if (posture.runtime !== undefined && /executable file not found|unknown runtime|no such file/i.test(message))
    return runtimeMissing(posture.runtime, message);
  return refused(answer, { code: "START_FAILED", doing: "start the container", hint: ASK_THE_DOCTOR });
}

function runtimeMissing(runtime: string, message: string): SandboxError {
  return new SandboxError(
    "RUNTIME_MISSING",
    `The engine cannot use the runtime ${JSON.stringify(runtime)}: ${message}.`,
    "Install it and add it to the engine's configuration, or leave --runtime out.",
  );
}
