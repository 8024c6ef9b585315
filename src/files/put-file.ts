import type { Writable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { Refusal } from "./scan-workspace.ts";
import { encodeHeader, paddingOf, TAR_END } from "./tar-header.ts";

/** The inner end of a tar stream, and what could not be made of it there. */
export type Target = { readonly input: Writable; readonly done: Promise<readonly Refusal[]> };

/** `path` relative to the directory that is unpacked into, `mode` permission bits. */
export type NewFile = { readonly path: string; readonly mode: number; readonly content: Uint8Array };

/** Writes one file in place of what was there; directories above it are made. Answers what could not be made, as error numbers have it. */
export async function putFile({ input, done }: Target, { path, mode, content }: NewFile): Promise<readonly Refusal[]> {
  const mtime = Math.floor(Date.now() / 1000);
  const header = encodeHeader({ path, kind: "file", mtime, mode, size: content.length });
  const pieces = [header, content, Buffer.alloc(paddingOf(content.length)), TAR_END];
  const [notes] = await Promise.all([
    done,
    pipeline(
      pieces.filter(({ length }) => length > 0),
      input,
    ),
  ]);
  return notes;
}
