import { VERSION } from "./version.ts";

/**
 * Runs the command line and answers its exit status. The version is answered before anything is loaded; every command loads
 * only what it needs.
 */
export async function main(argv: readonly string[]): Promise<number> {
  if (argv.length === 1 && (argv[0] === "--version" || argv[0] === "-V")) {
    process.stdout.write(`${VERSION}\n`);
    return 0;
  }
  const { runProgram } = await import("./program.ts");
  return runProgram(argv, VERSION);
}
