import { SandboxError } from "../../core/errors.ts";

/** A JSON object whose members are not known yet. */
export type Json = Readonly<Record<string, unknown>>;

export function isJson(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The JSON object that `text` is. What the parser says about another text would quote it, so that its error goes no further. */
export function parseJson(text: string): Json | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isJson(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

/** The object at `key`, or an empty one: engines leave out what is empty. */
export function objectAt(value: unknown, key: string): Json {
  const found = isJson(value) ? value[key] : undefined;
  return isJson(found) ? found : {};
}

/** The list at `key`, or an empty one. */
export function listAt(value: unknown, key: string): readonly unknown[] {
  const found = isJson(value) ? value[key] : undefined;
  return Array.isArray(found) ? found : [];
}

/** The text at `key`. Throws `NOT_AN_ENGINE` when there is none: the answer is not what the API promises. */
export function stringAt(value: unknown, key: string): string {
  const found = optionalStringAt(value, key);
  if (found !== undefined) return found;
  throw new SandboxError(
    "NOT_AN_ENGINE",
    `The engine's answer has no text at ${JSON.stringify(key)}.`,
    "Check the address given with --host or DOCKER_HOST.",
  );
}

export function optionalStringAt(value: unknown, key: string): string | undefined {
  const found = isJson(value) ? value[key] : undefined;
  return typeof found === "string" ? found : undefined;
}

export function numberAt(value: unknown, key: string): number {
  const found = isJson(value) ? value[key] : undefined;
  return typeof found === "number" ? found : 0;
}

export function flagAt(value: unknown, key: string): boolean {
  return isJson(value) && value[key] === true;
}

/** The members of an object that are texts. */
export function textsOf(value: Json): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(value).filter((entry): entry is [string, string] => typeof entry[1] === "string"));
}
