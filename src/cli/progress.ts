import { sanitiseLine } from "../output/sanitise.ts";
import type { RunEvent } from "../run/events.ts";
import { isLive, type LiveLine, showLiveLine } from "./live-line.ts";

/** A start that takes no longer needs no spinner. */
const QUIET_MS = 400;

/** A spinner on standard error that says what a run waits for, until its command speaks or ends. */
export function createProgress(options: { readonly enabled: boolean }): { onEvent(event: RunEvent): void; stop(): void } {
  let text = "Starting the sandbox";
  let line: LiveLine | undefined;
  let stopped = !options.enabled || !isLive(process.stderr);
  let timer: NodeJS.Timeout | undefined;

  function show(): void {
    line = showLiveLine(process.stderr, () => text);
  }

  function stop(): void {
    stopped = true;
    clearTimeout(timer);
    line?.stop();
    line = undefined;
  }

  return {
    stop,
    onEvent(event) {
      if (stopped) return;
      if (event.type === "run.started") timer = setTimeout(show, QUIET_MS);
      else if (event.type === "image.pulling") text = `Getting ${sanitiseLine(event.image)}: ${sanitiseLine(event.progress)}`;
      else if (event.type === "sandbox.started") text = "Copying files in";
      else if (event.type === "exec.started" || event.type === "run.sealed") stop();
    },
  };
}
