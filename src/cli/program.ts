import { Command, CommanderError, Option } from "commander";
import { SandboxError, toSandboxError } from "../core/errors.ts";
import { endOnBrokenOutput } from "./broken-output.ts";
import { COMMANDS, type CommandDescription } from "./commands.ts";
import { COMMON_FLAGS, type Flag } from "./flags.ts";
import type { Invocation } from "./invocation.ts";
import { reportError } from "./report-error.ts";

/** Parses `argv` and carries out one command. Never throws: an error is reported and becomes an exit status. */
export async function runProgram(argv: readonly string[], version: string): Promise<number> {
  let status = 0;
  const brokenOutput = endOnBrokenOutput();
  const program = createProgram(version, async (description, invocation) => {
    if (description.passThrough === true) brokenOutput[Symbol.dispose]();
    const action = await description.load();
    status = await action(invocation);
  });
  try {
    await program.parseAsync(argv, { from: "user" });
    return status;
  } catch (thrown) {
    if (thrown instanceof CommanderError && thrown.exitCode === 0) return 0;
    const json = argv.slice(0, argv.includes("--") ? argv.indexOf("--") : undefined).includes("--json");
    return reportError(thrown instanceof CommanderError ? usageError(thrown) : toSandboxError(thrown), {
      json,
      verbose: argv.includes("--verbose"),
    });
  }
}

/** The whole command line as commander knows it; `carryOut` is called for the command that was given. */
function createProgram(version: string, carryOut: (description: CommandDescription, invocation: Invocation) => Promise<void>): Command {
  const program = new Command("sandbox")
    .description("Run a command nobody has read in one throw-away container, with one pipe in and out.")
    .version(version, "-V, --version")
    .helpCommand(false)
    .enablePositionalOptions()
    .exitOverride()
    .configureOutput({ writeErr: () => undefined });
  for (const description of COMMANDS) {
    const command = program.command(description.usage).description(description.about);
    if (description.passThrough === true) command.passThroughOptions();
    for (const flag of [...description.flags, ...COMMON_FLAGS]) command.addOption(optionOf(flag));
    command.action(async (...given: unknown[]) => {
      const words = given
        .slice(0, -2)
        .flat()
        .filter((word): word is string => typeof word === "string");
      await carryOut(description, { words, options: command.opts() });
    });
  }
  return program;
}

function optionOf(flag: Flag): Option {
  const option = new Option(flag.flags, flag.fallback === undefined ? flag.about : `${flag.about} (default: ${flag.fallback})`);
  if (flag.choices !== undefined) option.choices(flag.choices);
  if (flag.repeat === true)
    option.argParser((value: string, before: unknown) => [...(Array.isArray(before) ? (before as unknown[]) : []), value]);
  return option;
}

function usageError(error: CommanderError): SandboxError {
  const sentence = error.message
    .replace(/^error: /, "")
    .replace(/\n.*/s, "")
    .replace(/\.+$/, "");
  const suggestion = /\(Did you mean (.+?)\?\)/.exec(error.message)?.[1];
  if (error.code === "commander.missingArgument" && error.message.includes("'cmd'")) {
    return new SandboxError("BAD_COMMAND", "There is no command to run.", "Write it after `--`: sandbox run -- CMD [ARG…].");
  }
  if (error.code === "commander.help") return new SandboxError("USAGE", "There is no command to carry out.", "See `sandbox --help`.");
  return new SandboxError(
    "USAGE",
    `${sentence.charAt(0).toUpperCase()}${sentence.slice(1)}.`,
    suggestion === undefined ? "See `sandbox --help`, or `sandbox COMMAND --help`." : `Write ${suggestion}.`,
  );
}
