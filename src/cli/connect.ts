import type { ChildProcess } from "node:child_process";
import { homedir } from "node:os";
import { fileURLToPath } from "node:url";
import { connectEngine } from "../engine/find-engine.ts";
import type { Engine } from "../engine/port.ts";
import { sanitiseLine } from "../output/sanitise.ts";
import type { Options } from "./options.ts";
import { WATCHDOG_SCRIPT } from "./watchdog-script.ts";

/** Finds the engine that the command line, the environment or this machine names. The files of the package lie beside the built code. */
export function connect(options: Options, watchdogProcess?: ChildProcess): Promise<Engine> {
  const env = { ...process.env };
  // dockerode reads these by itself; which engine is meant is decided here alone.
  for (const name of ["DOCKER_HOST", "DOCKER_CERT_PATH", "DOCKER_TLS_VERIFY"]) Reflect.deleteProperty(process.env, name);
  return connectEngine({
    host: options.text("host"),
    env,
    home: homedir(),
    uid: process.getuid?.() ?? 0,
    guestDirectory: fileURLToPath(new URL("./guest", import.meta.url)),
    seccompFile: fileURLToPath(new URL("../images/seccomp.json", import.meta.url)),
    watchdogScript: WATCHDOG_SCRIPT,
    watchdogProcess,
    onWarning: options.flag("quiet") ? undefined : (sentence) => void process.stderr.write(`sandbox: ${sanitiseLine(sentence)}\n`),
  });
}
