import { fileURLToPath } from "node:url";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { type CallToolResult, CallToolResultSchema, type Progress } from "@modelcontextprotocol/sdk/types.js";
import { engineSocket } from "./engine-api.ts";
import { TEST_IMAGES } from "./images.ts";

const SANDBOX = fileURLToPath(new URL("../../bin/sandbox.js", import.meta.url));

/** A client of the protocol's own SDK, and the built server that it has started. */
export type McpSession = AsyncDisposable & {
  readonly client: Client;
  /** Of the server. */
  readonly pid: number;
  call(tool: string, given?: Readonly<Record<string, unknown>>, options?: CallOptions): Promise<CallToolResult>;
  /** The structured content of a call that must not fail. */
  ask(tool: string, given?: Readonly<Record<string, unknown>>, options?: CallOptions): Promise<Structured>;
};

export type CallOptions = { readonly signal?: AbortSignal; readonly onprogress?: (progress: Progress) => void };

/** What tools answer to programs, as far as tests look at it. */
export type Structured = {
  readonly sandbox?: string;
  readonly stdout?: { readonly text: string; readonly truncated: boolean; readonly bytes: number; readonly resource?: string };
  readonly [key: string]: unknown;
};

export type McpOptions = {
  /** Added to the environment of the tests. */
  readonly env?: Readonly<Record<string, string>>;
  /** The executable, in place of the built one. */
  readonly executable?: string;
  /** Takes what the server says on standard error, which is quiet otherwise. */
  readonly onLog?: (text: string) => void;
};

/** Starts `sandbox mcp` with a small image and the flags given, and shakes hands with it. */
export async function openMcp(flags: readonly string[] = [], options: McpOptions = {}): Promise<McpSession> {
  const inherited = Object.entries(process.env).filter((entry): entry is [string, string] => entry[1] !== undefined);
  const transport = new StdioClientTransport({
    command: options.executable ?? process.execPath,
    args: [
      ...(options.executable === undefined ? ["--", SANDBOX] : []),
      "mcp",
      "--image",
      TEST_IMAGES.busybox,
      "--memory",
      "128m",
      ...(options.onLog === undefined ? ["--quiet"] : []),
      ...flags,
    ],
    stderr: options.onLog === undefined ? "inherit" : "pipe",
    env: { ...Object.fromEntries(inherited), DOCKER_HOST: `unix://${engineSocket()}`, ...options.env },
  });
  transport.stderr?.on("data", (piece: Buffer) => options.onLog?.(piece.toString()));
  const client = new Client({ name: "belljar-test", version: "1" });
  await client.connect(transport);
  // From here on the client holds what it is answered to the output schemas.
  await client.listTools();
  const call: McpSession["call"] = async (tool, given = {}, options = {}) =>
    CallToolResultSchema.parse(await client.callTool({ name: tool, arguments: given }, undefined, { timeout: 120_000, ...options }));
  return {
    client,
    pid: transport.pid ?? 0,
    call,
    ask: async (tool, given, options) => {
      const result = await call(tool, given, options);
      if (result.isError === true || result.structuredContent === undefined) throw new Error(`${tool} failed: ${textOf(result)}`);
      return result.structuredContent;
    },
    [Symbol.asyncDispose]: () => client.close(),
  };
}

/** All text blocks of a result. */
export function textOf({ content }: CallToolResult): string {
  return content.map((block) => (block.type === "text" ? block.text : "")).join("\n");
}

/** The code of the error that a call failed with. */
export function codeOf({ isError, _meta }: CallToolResult): unknown {
  const error = isError === true ? _meta?.["error"] : undefined;
  return typeof error === "object" && error !== null && "code" in error ? error.code : undefined;
}
