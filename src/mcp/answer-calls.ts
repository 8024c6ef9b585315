import { performance } from "node:perf_hooks";
import type { Server } from "@modelcontextprotocol/sdk/server/index.js";
import {
  CallToolRequestSchema,
  type CallToolResult,
  ErrorCode,
  ListToolsRequestSchema,
  McpError,
} from "@modelcontextprotocol/sdk/types.js";
import { type SandboxError, toSandboxError } from "../core/errors.ts";
import { formatDuration } from "../core/units.ts";
import { sanitiseLine } from "../output/sanitise.ts";
import { listFilesTool, readFileTool, writeFileTool } from "./file-tools.ts";
import { createProgress } from "./progress.ts";
import { resetTool } from "./reset-tool.ts";
import { runCommandTool } from "./run-command-tool.ts";
import type { Answer, Call, Tool, Workshop } from "./tool.ts";

/** Lists the tools and answers their calls. */
// eslint-disable-next-line @typescript-eslint/no-deprecated -- see serve.ts
export function answerCalls(server: Server, workshop: Workshop, log: (sentence: string) => void): void {
  const all = [runCommandTool, writeFileTool, readFileTool, listFilesTool, resetTool].map((create) => create(workshop));
  const tools = new Map(all.map((tool) => [tool.listed.name, tool]));
  let calls = 0;
  server.setRequestHandler(ListToolsRequestSchema, () => ({ tools: all.map(({ listed }) => listed) }));
  server.setRequestHandler(CallToolRequestSchema, async ({ params }, { signal, sendNotification }) => {
    const tool = tools.get(params.name);
    if (tool === undefined) throw new McpError(ErrorCode.InvalidParams, `There is no tool "${sanitiseLine(params.name)}"`);
    calls += 1;
    const id = String(calls);
    const progressToken = params._meta?.progressToken;
    await using progress = createProgress(
      progressToken === undefined
        ? undefined
        : (step) => sendNotification({ method: "notifications/progress", params: { progressToken, ...step } }),
    );
    const from = performance.now();
    const result = await answerOne(tool, params.arguments ?? {}, { id, signal, progress });
    const fate = signal.aborted ? "was cancelled" : result.isError === true ? "failed" : "is done";
    log(`Call ${id} of ${params.name} ${fate} after ${formatDuration(performance.now() - from)}.`);
    return result;
  });
}

async function answerOne(tool: Tool, given: unknown, call: Call): Promise<CallToolResult> {
  try {
    return resultOf(await tool.call(given, call));
  } catch (error) {
    return failureOf(toSandboxError(error));
  }
}

function resultOf({ structured, content, failed = false }: Answer): CallToolResult {
  return { content, structuredContent: structured, ...(failed ? { isError: true } : {}) };
}

/** What went wrong, for readers and in `_meta` for programs. The sentence may quote what came from inside. */
function failureOf(error: SandboxError): CallToolResult {
  const { code, message, hint } = error.report();
  const report = { code, message: sanitiseLine(message), hint: sanitiseLine(hint) };
  return { isError: true, content: [{ type: "text", text: `${code}: ${report.message}\n${report.hint}` }], _meta: { error: report } };
}
