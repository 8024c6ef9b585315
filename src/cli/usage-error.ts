import type { CommanderError } from "commander";
import { SandboxError } from "../core/errors.ts";
import { COMMANDS } from "./commands.ts";
import { COMMON_FLAGS } from "./flags.ts";

/** The first word that is no flag, where it is a command. */
export function commandOf(argv: readonly string[]): string | undefined {
  const first = argv.find((word) => !word.startsWith("-"));
  return first !== undefined && isCommand(first) ? first : undefined;
}

/** What commander has to say about the words of `argv`, in our form. */
export function usageError(error: CommanderError, argv: readonly string[]): SandboxError {
  if (error.code === "commander.missingArgument" && error.message.includes("'cmd'")) {
    return new SandboxError("BAD_COMMAND", "There is no command to run.", "Write it after `--`: sandbox run -- CMD [ARG…].");
  }
  if (error.code === "commander.help") return new SandboxError("USAGE", "There is no command to carry out.", "See `sandbox --help`.");
  const value = valueError(error.message);
  if (value !== undefined) return value;
  const sentence = error.message
    .replace(/^error: /, "")
    .replace(/\n.*/s, "")
    .replace(/\.+$/, "");
  return new SandboxError("USAGE", `${sentence.charAt(0).toUpperCase()}${sentence.slice(1)}.`, remedyOf(error, argv));
}

/** What is wrong with the value of a flag, as our own parsers would say it. */
function valueError(message: string): SandboxError | undefined {
  const [, lacking] = /^error: option '(?:-\w, )?(.+)' argument missing/.exec(message) ?? [];
  if (lacking !== undefined) return new SandboxError("USAGE", `${lacking.replace(/ .*/, "")} has no value.`, `Write ${lacking}.`);
  const [, flag, value, choices] =
    /^error: option '(?:-\w, )?(\S+).*?' argument '(.*)' is invalid\. Allowed choices are (.+)\.$/s.exec(message) ?? [];
  if (flag === undefined || value === undefined || choices === undefined) return undefined;
  return new SandboxError("USAGE", `${flag} is "${value}", which is none of its values.`, `Write one of: ${choices}.`);
}

function remedyOf({ code, message }: CommanderError, argv: readonly string[]): string {
  const suggestion = /\(Did you mean (.+?)\?\)/.exec(message)?.[1];
  if (suggestion !== undefined)
    return code === "commander.unknownCommand" && /^\w+$/.test(suggestion) ? `Write \`sandbox ${suggestion}\`.` : `Write ${suggestion}.`;
  const [first = ""] = argv;
  const meant = first.startsWith("-") ? argv.find(isCommand) : undefined;
  if (meant !== undefined && isFlagOf(first, meant)) return `Write it after the command: \`sandbox ${meant} ${first}\`.`;
  const command = commandOf(argv);
  const usage = COMMANDS.find((each) => each.usage.split(" ")[0] === command)?.usage;
  if (code === "commander.missingArgument" && usage !== undefined) return `Write \`sandbox ${usage}\`.`;
  return command === undefined ? "See `sandbox --help`." : `See \`sandbox ${command} --help\`.`;
}

function isCommand(word: string): boolean {
  return word === "help" || COMMANDS.some(({ usage }) => usage.split(" ")[0] === word);
}

function isFlagOf(word: string, command: string): boolean {
  const own = COMMANDS.find(({ usage }) => usage.split(" ")[0] === command)?.flags ?? [];
  return [...own, ...COMMON_FLAGS].some(({ flags }) => flags.split(/[ ,]+/).includes(word));
}
