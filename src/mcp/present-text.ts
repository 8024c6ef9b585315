import type { CallToolResult } from "@modelcontextprotocol/sdk/types.js";
import type { KeptOutputs } from "./kept-outputs.ts";
import { fence, shorten } from "./untrusted.ts";

/** How much of one stream, file or listing stands in an answer, in bytes of UTF-8. */
export const SHOWN_BYTES = 64 * 1024;
/** How much of it is kept as a resource. */
const KEPT_BYTES = 1024 * 1024;

/** One piece of text from inside, as an answer holds it. */
export type Presented = {
  readonly text: string;
  readonly truncated: boolean;
  /** URI of the resource with more of it. */
  readonly resource: string | undefined;
};

type Origin = { readonly call: string; readonly source: string; readonly kept: KeptOutputs };

/** Shortens a cleaned text for an answer, and keeps what does not fit as a resource. */
export function presentText(text: string, { call, source, kept }: Origin): Presented {
  const shown = shorten(text, SHOWN_BYTES);
  if (!shown.truncated) return { ...shown, resource: undefined };
  return { ...shown, resource: kept.add({ call, source }, shorten(text, KEPT_BYTES).text) };
}

/** The blocks for readers: the text between its marks, and a link to the rest. */
export function blocksOf(source: string, { text, resource }: Presented): CallToolResult["content"] {
  const label = { label: "untrusted" };
  const shown = { type: "text" as const, text: fence(source, text), _meta: label };
  if (resource === undefined) return [shown];
  const link = { type: "resource_link" as const, uri: resource, name: `all of ${source}`, mimeType: "text/plain", _meta: label };
  return [shown, link];
}
