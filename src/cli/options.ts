import { SandboxError } from "../core/errors.ts";
import type { Invocation } from "./invocation.ts";

/** Typed access to what commander parsed, whose values are `unknown` to the compiler. */
export type Options = {
  text(name: string): string | undefined;
  list(name: string): readonly string[];
  flag(name: string): boolean;
};

export function optionsOf({ options }: Invocation): Options {
  return {
    text: (name) => (typeof options[name] === "string" ? options[name] : undefined),
    list: (name) => (Array.isArray(options[name]) ? options[name].filter((value) => typeof value === "string") : []),
    flag: (name) => options[name] === true,
  };
}

/** Splits `KEY=VALUE` at the first equals sign. */
export function parsePair(text: string, what: string): readonly [string, string] {
  const at = text.indexOf("=");
  if (at > 0) return [text.slice(0, at), text.slice(at + 1)];
  throw new SandboxError("USAGE", `${what} "${text}" has no value.`, `Write ${what} NAME=VALUE.`);
}

/** The error for a word that is more than `usage` takes. */
export function tooMany(word: string, usage: string): SandboxError {
  return new SandboxError("USAGE", `"${word}" is one argument too many.`, `Write \`${usage}\`.`);
}
