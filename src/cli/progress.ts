import { sanitiseLine } from "../output/sanitise.ts";
import type { RunEvent } from "../run/events.ts";
import { isColoured } from "./colour.ts";

/** A start that takes no longer needs no spinner. */
const QUIET_MS = 400;

/** A spinner on standard error that says what a run waits for, until its command speaks or ends. */
export function createProgress(options: { readonly enabled: boolean }): { onEvent(event: RunEvent): void; stop(): void } {
  let text = "Starting the sandbox";
  let spinner: { text: string; stop(): unknown } | undefined;
  let stopped = !options.enabled;
  let timer: NodeJS.Timeout | undefined;

  async function show(): Promise<void> {
    const { default: ora } = await import("ora");
    if (!stopped)
      spinner = ora({
        text,
        stream: process.stderr,
        discardStdin: false,
        hideCursor: false,
        color: isColoured(process.stderr) ? "cyan" : false,
      }).start();
  }

  function stop(): void {
    stopped = true;
    clearTimeout(timer);
    spinner?.stop();
    spinner = undefined;
  }

  function say(words: string): void {
    text = words;
    if (spinner !== undefined) spinner.text = words;
  }

  return {
    stop,
    onEvent(event) {
      if (stopped) return;
      if (event.type === "run.started") timer = setTimeout(() => void show(), QUIET_MS);
      else if (event.type === "image.pulling") say(`Getting ${sanitiseLine(event.image)}: ${sanitiseLine(event.progress)}`);
      else if (event.type === "sandbox.started") say("Copying files in");
      else if (event.type === "exec.started" || event.type === "run.sealed") stop();
    },
  };
}
