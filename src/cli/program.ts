import { Command, CommanderError, Option } from "commander";
import { toSandboxError } from "../core/errors.ts";
import { endOnBrokenOutput } from "./broken-output.ts";
import { COMMANDS, type CommandDescription } from "./commands.ts";
import { COMMON_FLAGS, type Flag } from "./flags.ts";
import type { Invocation } from "./invocation.ts";
import { tooMany } from "./options.ts";
import { reportError } from "./report-error.ts";
import { commandOf, usageError } from "./usage-error.ts";

/** Parses `argv` and carries out one command. Never throws: an error is reported and becomes an exit status. */
export async function runProgram(argv: readonly string[], version: string): Promise<number> {
  let status = 0;
  const brokenOutput = endOnBrokenOutput();
  const program = createProgram(version, async (description, invocation) => {
    if (description.passThrough === true || description.ownsOutput === true) brokenOutput[Symbol.dispose]();
    const action = await description.load();
    status = await action(invocation);
  });
  try {
    await program.parseAsync(withoutHelpOfNothing(argv), { from: "user" });
    return status;
  } catch (thrown) {
    if (thrown instanceof CommanderError && thrown.exitCode === 0) return 0;
    const error = thrown instanceof CommanderError ? usageError(await withoutValue(thrown, argv), argv) : toSandboxError(thrown);
    const json = !ownsOutput(argv) && argv.slice(0, argv.includes("--") ? argv.indexOf("--") : undefined).includes("--json");
    return reportError(error, { json, verbose: argv.includes("--verbose") });
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
    command.allowExcessArguments().action(async (...given: unknown[]) => {
      assertNoMore(command);
      const words = given
        .slice(0, -2)
        .flat()
        .filter((word): word is string => typeof word === "string");
      await carryOut(description, { words, options: command.opts() });
    });
  }
  program
    .command("help [command]")
    .description("this page, or the page of one command")
    .allowExcessArguments()
    .action(async (name: string | undefined, _options: unknown, command: Command) => {
      assertNoMore(command);
      await program.parseAsync(withoutHelpOfNothing(name === undefined ? ["--help"] : [name, "--help"]), { from: "user" });
    });
  return program;
}

/** Refuses the words that are more than a command takes, and names the first of them. */
function assertNoMore(command: Command): void {
  const taken = command.registeredArguments;
  const extra = command.args[taken.length];
  if (extra === undefined || taken.at(-1)?.variadic === true) return;
  const places = taken.map((each) => (each.required ? `<${each.name()}>` : `[${each.name()}]`));
  throw tooMany(extra, ["sandbox", command.name(), ...places].join(" "));
}

function ownsOutput(argv: readonly string[]): boolean {
  const name = commandOf(argv);
  return COMMANDS.some(({ usage, ownsOutput: owns }) => owns === true && usage.split(" ")[0] === name);
}

/** A misspelt command has no page: asked for it, commander would show the page of everything and call that success. */
function withoutHelpOfNothing(argv: readonly string[]): readonly string[] {
  const isMisspelt = commandOf(argv) === undefined && argv.some((word) => !word.startsWith("-"));
  return isMisspelt ? argv.filter((word) => word !== "--help" && word !== "-h") : argv;
}

/** Commander looks for the flag that is like `--memry=1g` as a whole and finds none: it is asked again about the name alone, and carries nothing out. */
async function withoutValue(error: CommanderError, argv: readonly string[]): Promise<CommanderError> {
  const name = /^error: unknown option '(--[^=]+)=/.exec(error.message)?.[1];
  const command = commandOf(argv);
  if (name === undefined || command === undefined) return error;
  try {
    await createProgram("", () => Promise.resolve()).parseAsync([command, name], { from: "user" });
    return error;
  } catch (again) {
    return again instanceof CommanderError && again.code === error.code ? again : error;
  }
}

function optionOf(flag: Flag): Option {
  const option = new Option(flag.flags, flag.fallback === undefined ? flag.about : `${flag.about} (default: ${flag.fallback})`);
  if (flag.choices !== undefined) option.choices(flag.choices);
  if (flag.repeat === true)
    option.argParser((value: string, before: unknown) => [...(Array.isArray(before) ? (before as unknown[]) : []), value]);
  return option;
}
