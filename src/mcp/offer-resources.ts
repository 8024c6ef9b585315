import type { Server } from "@modelcontextprotocol/sdk/server/index.js";
import {
  ListResourcesRequestSchema,
  ListResourceTemplatesRequestSchema,
  McpError,
  ReadResourceRequestSchema,
} from "@modelcontextprotocol/sdk/types.js";
import { sanitiseLine } from "../output/sanitise.ts";
import type { KeptOutputs } from "./kept-outputs.ts";
import { fence } from "./untrusted.ts";

/** "Resource not found" (Model Context Protocol, server/resources). */
const NOT_FOUND = -32_002;
const KIND = { mimeType: "text/plain", _meta: { label: "untrusted" } } as const;

/** Offers what was too long for answers. */
// eslint-disable-next-line @typescript-eslint/no-deprecated -- see serve.ts
export function offerResources(server: Server, kept: KeptOutputs): void {
  server.setRequestHandler(ListResourcesRequestSchema, () => ({
    resources: kept.list().map(({ uri, name, bytes }) => ({ uri, name, size: bytes, ...KIND })),
  }));
  server.setRequestHandler(ListResourceTemplatesRequestSchema, () => ({
    resourceTemplates: [
      {
        uriTemplate: "sandbox://output/{call}/{source}",
        name: "stdout, stderr, file or list of a call whose answer was shortened",
        ...KIND,
      },
    ],
  }));
  server.setRequestHandler(ReadResourceRequestSchema, ({ params: { uri } }) => {
    const text = kept.read(uri);
    if (text === undefined) throw new McpError(NOT_FOUND, "There is no such resource, or it had to give way", { uri: sanitiseLine(uri) });
    return { contents: [{ uri, text: fence(uri, text), ...KIND }] };
  });
}
