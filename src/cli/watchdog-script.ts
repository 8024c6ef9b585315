import { fileURLToPath } from "node:url";

/** The built watchdog, beside the built command line. */
export const WATCHDOG_SCRIPT = fileURLToPath(new URL("./watchdog.js", import.meta.url));
