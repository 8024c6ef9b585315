import { defineTool, type Tool, type Workshop } from "./tool.ts";
import { resetInput, resetOutput } from "./tool-schemas.ts";

/** `reset`: another sandbox in place of the session's. */
export function resetTool({ sandboxes, isolation }: Workshop): Tool {
  const about =
    isolation === "session"
      ? "Destroys the session's sandbox with its files and processes, and opens a fresh one."
      : "Every call has a sandbox of its own, so that there is nothing to reset; this tries whether one can be opened.";
  return defineTool({
    name: "reset",
    title: "Fresh sandbox",
    about,
    input: resetInput,
    output: resetOutput,
    hints: { reads: false, destroys: true, repeats: true, reachesOut: false },
    run: async (_given, { id, signal, progress }) => {
      const { opened, closed } = await sandboxes.reset({ signal, onEvent: progress.onEvent });
      const structured = { call: id, sandbox: opened, closed: closed ?? null };
      const text = closed === undefined ? `The sandbox ${opened} is open.` : `The sandbox ${closed} is gone; ${opened} took its place.`;
      return { structured, content: [{ type: "text", text }] };
    },
  });
}
