import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { docker, POSTURE, removeContainer } from "../scripts/bench-peer.mjs";
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

/** The peer's container outlives neither the benchmark nor, should this process be killed, the hour. */
async function toolCall({ image }) {
  const peer = await docker("run", "--rm", "--detach", ...POSTURE, image, "sleep", "3600");
  try {
    const client = await openClient(image);
    return {
      a: { name: "run_command of true through MCP, live session", run: () => callTrue(client) },
      b: { name: "docker exec of true in a live container", run: async () => void (await docker("exec", peer, "true")) },
      close: async () => {
        await client.close();
        await removeContainer(peer);
      },
    };
  } catch (error) {
    await removeContainer(peer);
    throw error;
  }
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
