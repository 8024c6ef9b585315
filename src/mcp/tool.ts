import type { CallToolResult, Tool as ListedTool } from "@modelcontextprotocol/sdk/types.js";
import type { Task } from "../policy/task.ts";
import type { KeptOutputs } from "./kept-outputs.ts";
import type { Progress } from "./progress.ts";
import type { Isolation, Sandboxes } from "./sandboxes.ts";
import { type ArgumentsOf, jsonSchemaOf, parseArguments, type ToolSchema } from "./tool-schemas.ts";

/** What every tool works with. */
export type Workshop = {
  readonly task: Task;
  readonly isolation: Isolation;
  readonly sandboxes: Sandboxes;
  readonly kept: KeptOutputs;
};

/** One call of a tool. */
export type Call = {
  /** Counts the server's calls from 1. */
  readonly id: string;
  /** Aborts when the client has given the call up. */
  readonly signal: AbortSignal;
  readonly progress: Progress;
};

/** What a tool answers: for programs, and for readers. `failed` is what the call could not do; a command's exit status is not that. */
export type Answer = {
  readonly structured: { readonly [key: string]: unknown };
  readonly content: CallToolResult["content"];
  readonly failed?: boolean;
};

export type Tool = {
  readonly listed: ListedTool;
  /** Throws `SandboxError`. */
  readonly call: (given: unknown, call: Call) => Promise<Answer>;
};

type Definition<Input extends ToolSchema> = {
  readonly name: string;
  readonly title: string;
  readonly about: string;
  readonly input: Input;
  readonly output: ToolSchema;
  readonly hints: { readonly reads: boolean; readonly destroys: boolean; readonly repeats: boolean; readonly reachesOut: boolean };
  readonly run: (given: ArgumentsOf<Input>, call: Call) => Promise<Answer>;
};

export function defineTool<Input extends ToolSchema>({ name, title, about, input, output, hints, run }: Definition<Input>): Tool {
  return {
    listed: {
      name,
      title,
      description: about,
      inputSchema: jsonSchemaOf(input, "input"),
      outputSchema: jsonSchemaOf(output, "output"),
      annotations: {
        readOnlyHint: hints.reads,
        destructiveHint: hints.destroys,
        idempotentHint: hints.repeats,
        openWorldHint: hints.reachesOut,
      },
    },
    call: (given, call) => run(parseArguments(input, given), call),
  };
}
