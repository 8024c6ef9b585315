import { fileURLToPath } from "node:url";

/** What of this package is not code, as it lies around the built code: the guests, the seccomp profile, and the watchdog's own program. */
export const PACKAGE_FILES = {
  guestDirectory: fileURLToPath(new URL("./guest", import.meta.url)),
  seccompFile: fileURLToPath(new URL("../images/seccomp.json", import.meta.url)),
  watchdogScript: fileURLToPath(new URL("./watchdog.js", import.meta.url)),
} as const;
