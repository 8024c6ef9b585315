import { fileURLToPath } from "node:url";
import { connectEngine } from "../../src/engine/find-engine.ts";
import type { Engine } from "../../src/engine/port.ts";
import { engineSocket } from "./engine-api.ts";

const DIST = fileURLToPath(new URL("../../dist", import.meta.url));

/** The tests' engine with the built guest and watchdog, as the command line connects to it. */
export async function openProductEngine(): Promise<Engine> {
  return connectEngine({
    ...{ host: `unix://${engineSocket()}`, env: {}, home: "/nonexistent", uid: 0 },
    guestDirectory: `${DIST}/guest`,
    seccompFile: fileURLToPath(new URL("../../images/seccomp.json", import.meta.url)),
    watchdogScript: `${DIST}/watchdog.js`,
  });
}
