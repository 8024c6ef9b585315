import type { ChildProcess } from "node:child_process";
import { homedir } from "node:os";
import { PACKAGE_FILES } from "../core/package-files.ts";
import { connectEngine } from "../engine/find-engine.ts";
import type { Engine } from "../engine/port.ts";
import { sanitiseLine } from "../output/sanitise.ts";
import type { Options } from "./options.ts";

/** Finds the engine that the command line, the environment or this machine names. */
export function connect(options: Options, watchdogProcess?: ChildProcess): Promise<Engine> {
  return connectEngine({
    ...PACKAGE_FILES,
    host: options.text("host"),
    env: { ...process.env },
    home: homedir(),
    uid: process.getuid?.() ?? 0,
    watchdogProcess,
    onWarning: options.flag("quiet") ? undefined : (sentence) => void process.stderr.write(`sandbox: ${sanitiseLine(sentence)}\n`),
  });
}
