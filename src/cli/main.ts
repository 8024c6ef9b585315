import { VERSION } from "./version.ts";

/** Runs the command line and answers its exit status. Every command loads only what it needs. */
export async function main(argv: readonly string[]): Promise<number> {
  restoreCertificates(process.env);
  const { runProgram } = await import("./program.ts");
  return runProgram(argv, VERSION);
}

/** The executable kept this name's value out of Node.js's sight; from here on it is as the caller set it. */
function restoreCertificates(env: NodeJS.ProcessEnv): void {
  const path = env["SANDBOX_EXTRA_CA_CERTS"];
  delete env["SANDBOX_EXTRA_CA_CERTS"];
  if (path === undefined) return;
  if (path === "") delete env["NODE_EXTRA_CA_CERTS"];
  else env["NODE_EXTRA_CA_CERTS"] = path;
}
