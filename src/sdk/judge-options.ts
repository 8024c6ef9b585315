import { SandboxError } from "../core/errors.ts";
import { nearest } from "../core/nearest.ts";
import type { Kind } from "./option-kinds.ts";

/** What each option of a function may be. It has a place for every one of them, so that none can be forgotten here. */
export type Shape<Options> = { readonly [Key in keyof Options]-?: Kind };

/**
 * Holds what a program gave to the options that a function has, for those that no compiler has looked at. `what` is the function. Throws `USAGE` with the
 * first key that is none, is missing, or has a value of another kind; a value that is `undefined` is left out.
 */
export function judgeOptions<Options>(what: string, shape: Shape<Options>, given: unknown): void {
  if (typeof given !== "object" || given === null || Array.isArray(given))
    throw new SandboxError(
      "USAGE",
      `The options of ${what} are not an object.`,
      `Write ${what}({ … }), or leave them out where they may be.`,
    );
  const kinds = new Map<string, Kind>(Object.entries(shape));
  for (const key of Object.keys(given)) if (!kinds.has(key)) throw unknownKey(what, key, [...kinds.keys()]);
  for (const [key, kind] of kinds) {
    const value: unknown = Reflect.get(given, key);
    if (value !== undefined) judgeValue(`The option ${key} of ${what}`, kind, value);
    else if (kind.needed === true) throw new SandboxError("USAGE", `The option ${key} of ${what} is missing.`, `Give it ${kind.name}.`);
  }
}

/** Throws `USAGE` for a value of another kind; `subject` is how it is called. */
export function judgeValue(subject: string, kind: Kind, value: unknown): void {
  const wrong = kind.wrong(value);
  if (wrong === undefined) return;
  const hint = `Give it ${kind.name}${kind.needed === true ? "" : ", or leave it out"}.`;
  throw new SandboxError("USAGE", `${subject} is ${wrong}, where ${kind.name} belongs.`, hint);
}

function unknownKey(what: string, key: string, known: readonly string[]): SandboxError {
  const near = nearest(key, known);
  const hint = near === undefined ? `Choose from: ${known.join(", ")}.` : `Write ${near}, or leave it out.`;
  return new SandboxError("USAGE", `${JSON.stringify(key.slice(0, 60))} is not an option of ${what}.`, hint);
}
