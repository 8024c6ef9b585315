import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { againstDockerExec } from "../scripts/bench-peer.mjs";
import { ROOT } from "../scripts/prepare.mjs";

/** A client in this process and the built server in its own, as a model's client has them. */
async function openClient(image) {
  const transport = new StdioClientTransport({
    command: process.execPath,
    args: ["--", `${ROOT}/bin/sandbox.js`, "mcp", "--quiet", "--image", image],
    env: process.env,
  });
  const client = new Client({ name: "belljar-bench", version: "1" });
  await client.connect(transport);
  return client;
}

function toolCall({ image }) {
  return againstDockerExec(image, async () => {
    const client = await openClient(image);
    return { name: "run_command of true through MCP, live session", run: () => callTrue(client), close: () => client.close() };
  });
}

async function callTrue(client) {
  const { isError, structuredContent } = await client.callTool({ name: "run_command", arguments: { argv: ["true"] } });
  if (isError || structuredContent?.exit?.code !== 0) throw new Error(`true gave ${JSON.stringify(structuredContent)}`);
}

export const benchmarks = [
  {
    name: "mcp-call",
    what: "tool call through MCP in a live session, p50",
    target: { of: "ratio", atMost: 0.15 },
    open: toolCall,
  },
];
