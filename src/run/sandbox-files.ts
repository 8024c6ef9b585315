import { SandboxError } from "../core/errors.ts";
import { WORKSPACE } from "../engine/posture.ts";
import type { Listing } from "../files/take-files.ts";
import type { Session } from "../guest/session.ts";
import { parseWorkspacePath } from "../policy/task-fields.ts";

/** What a file is written from. A stream is held in memory until its end, since its length stands before it. */
export type Content = string | Uint8Array | AsyncIterable<string | Uint8Array>;

/** How long one file or listing may take to come out. */
const TRANSFER_MS = 120_000;

/** Writes one file below `/workspace`; a stream may bring `maxBytes`. Throws `BAD_PATH`, `USAGE` and `COPY_IN_FAILED`. */
export async function writeSandboxFile(
  session: Session,
  path: string,
  { content, mode, maxBytes }: { readonly content: Content; readonly mode: number; readonly maxBytes: number },
): Promise<void> {
  const { putFile } = await import("../files/put-file.ts");
  const file = { path: parseFilePath(path), mode: parseMode(mode), content: await wholeOf(content, maxBytes) };
  const [note] = await putFile(session.unpack(WORKSPACE), file);
  if (note !== undefined) throw unwritten(path, note.why);
}

/** Reads one regular file below `/workspace`. Throws `BAD_PATH`, `USAGE`, `NO_SUCH_FILE` and `COLLECT_FAILED`. */
export async function readSandboxFile(session: Session, path: string, maxBytes: number): Promise<Buffer> {
  const { takeFile } = await import("../files/take-files.ts");
  const plain = parseFilePath(path);
  assertBytes(maxBytes);
  const signal = AbortSignal.timeout(TRANSFER_MS);
  return takeFile(session.pack({ directory: WORKSPACE, paths: [plain] }), { path: plain, maxBytes, signal });
}

/** Lists what lies in a directory below `/workspace`. Throws `BAD_PATH`, `NO_SUCH_FILE` and `COLLECT_FAILED`. */
export async function listSandboxFiles(
  session: Session,
  path: string,
  { recursive, maxEntries }: { readonly recursive: boolean; readonly maxEntries: number },
): Promise<Listing> {
  const { listFiles } = await import("../files/take-files.ts");
  const plain = parseWorkspacePath(path);
  const limits = { maxBytes: Number.MAX_SAFE_INTEGER, maxEntries };
  const signal = AbortSignal.timeout(TRANSFER_MS);
  return listFiles(session.pack({ directory: WORKSPACE, paths: [plain] }), { path: plain, recursive, limits, signal });
}

function parseFilePath(path: string): string {
  const plain = parseWorkspacePath(path);
  if (plain !== "." && !path.endsWith("/")) return plain;
  throw new SandboxError("BAD_PATH", `${JSON.stringify(path)} is a directory, not a file.`, "Write a path such as out/report.txt.");
}

function assertBytes(maxBytes: number): void {
  if (maxBytes >= 0) return;
  throw new SandboxError("USAGE", `maxBytes is ${maxBytes}, which is not a number of bytes.`, "Write a whole number such as 65536.");
}

function parseMode(mode: number): number {
  if (Number.isInteger(mode) && mode >= 0 && mode <= 0o777) return mode;
  throw new SandboxError("USAGE", `The mode ${mode} is not permission bits.`, "Write a number from 0 to 0o777, such as 0o755.");
}

async function wholeOf(content: Content, maxBytes: number): Promise<Uint8Array> {
  if (typeof content === "string") return Buffer.from(content);
  if (content instanceof Uint8Array) return content;
  const pieces: Buffer[] = [];
  let bytes = 0;
  for await (const piece of content) {
    pieces.push(Buffer.from(piece));
    bytes += piece.length;
    if (bytes > maxBytes)
      throw new SandboxError("COPY_IN_FAILED", `The stream has more than the ${maxBytes} bytes of the workspace.`, "Raise the disk quota.");
  }
  return Buffer.concat(pieces);
}

function unwritten(path: string, why: string): SandboxError {
  return new SandboxError(
    "COPY_IN_FAILED",
    `${JSON.stringify(path)} can't be written in the sandbox: ${why}.`,
    "Check that nothing but a file is there, and that the sandbox's user may write to the directory.",
  );
}
